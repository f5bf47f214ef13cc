"""Checking the folder of a rig of one's own."""
import json
import os
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

from data_tools.prepare_custom import find_lists
from ddp_perception.cli.main import main
from tests.datasets.tiny_rig import write_tiny_rig


def run(capsys, *arguments):
    status = main(['prepare', 'custom', *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_sound_folder_is_described_and_drawn(tmp_path, capsys):
    write_tiny_rig(tmp_path)
    (tmp_path / 'notes.json').write_text('{"mine": 1}')  # no list of frames
    status, out, err = run(capsys, tmp_path, '--pictures', tmp_path / 'pictures')
    assert status == 0 and 'error' not in err and 'note' not in err
    assert out.splitlines()[:4] == [
        f'{tmp_path / "frames.json"}: 2 frames of 1 scene', '  camera ahead: 64 x 48',
        '  camera aside: 40 x 60', '  lidar: 30 points a frame, 4 values each']
    # Road: 12 m x 60 m of 100 m x 100 m, of which 10 m (16 m) lie behind.
    road, grass = (float(line.split()[2].rstrip('%')) for line in out.splitlines()[4:6])
    assert 5.2 < road < 7.7 and 6.6 < grass < 9
    picture = Image.open(tmp_path / 'pictures/frames.png')
    assert min(picture.size) > 500
    assert not (tmp_path / 'pictures/notes.png').exists()


@pytest.mark.parametrize('spoil, message', [
    (lambda root: (root / 'images/aside1.png').unlink(),
     "frame 1 (id 'frame1'): cameras.aside.image: {root}/images/aside1.png is missing"),
    (lambda root: (root / 'images/ahead0.png').write_bytes(b'no image'),
     "frame 0 (id 'frame0'): cameras.ahead.image: {root}/images/ahead0.png is not a "
     'readable image'),
    (lambda root: (root / 'points/1.bin').write_bytes(b'12345'),
     "frame 1 (id 'frame1'): lidar.points: {root}/points/1.bin holds 5 bytes, expected "
     'a multiple of 16'),
    (lambda root: (root / 'points/0.bin').unlink(),
     "frame 0 (id 'frame0'): lidar.points: {root}/points/0.bin is missing"),
    (lambda root: (root / 'yard.geojson').unlink(), '{root}/yard.geojson is missing'),
    (lambda root: (root / 'frames.json').write_text('{"format": "ddp-bev-1"'),
     '{root}/frames.json is not JSON'),
    (lambda root: (root / 'frames.json').unlink(), '{root} has no list of frames'),
])
def test_faulty_files_are_named_with_their_frame(tmp_path, capsys, spoil, message):
    write_tiny_rig(tmp_path)
    spoil(tmp_path)
    status, _, err = run(capsys, tmp_path)
    assert status == 1
    assert message.format(root=tmp_path) in err and 'Traceback' not in err


def test_intrinsics_of_another_size_are_noticed(tmp_path, capsys):
    write_tiny_rig(tmp_path)
    cv2.imwrite(str(tmp_path / 'images/ahead1.png'), np.zeros((24, 32), np.uint8))
    status, _, err = run(capsys, tmp_path)
    assert status == 0  # a cropped image may have it so
    assert "frame 1 (id 'frame1'): cameras.ahead.intrinsics: the principal point (32" \
        '.0, 24.0) is far from the middle of the image of 32 x 24 pixels' in err


def test_several_lists_are_checked_and_one_may_be_chosen(tmp_path, capsys):
    def spoil(content):
        del content['frames'][0]['cameras']['ahead']['image']
    write_tiny_rig(tmp_path)
    write_tiny_rig(tmp_path, spoil, name='other.json')
    status, _, err = run(capsys, tmp_path)
    assert status == 1 and f"{tmp_path / 'other.json'}: frame 0 (id 'frame0'): " \
        'cameras.ahead.image is missing' in err
    status, out, _ = run(capsys, tmp_path, '--frames', 'frames.json')
    assert status == 0 and 'other' not in out


def test_a_folder_without_maps_is_for_prediction(tmp_path, capsys):
    def drop(content):
        del content['maps']
        for frame in content['frames']:
            del frame['map']
    path = write_tiny_rig(tmp_path, drop, features=None)
    status, out, _ = run(capsys, tmp_path, '--pictures', tmp_path / 'pictures')
    assert status == 0 and 'no maps: for prediction alone' in out
    assert (tmp_path / 'pictures/frames.png').is_file()
    assert 'maps' not in json.loads(path.read_text())


def test_a_pipe_in_the_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe.json')
    found = []

    def find():
        try:
            find_lists(tmp_path)
        except FileNotFoundError as error:
            found.append(str(error))

    thread = threading.Thread(target=find, daemon=True)
    thread.start()
    thread.join(10)
    assert found and 'no list of frames' in found[0]
