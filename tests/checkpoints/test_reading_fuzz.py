"""Mutated files: right, or one line that names the file, in a living process."""
import io
import pickle
import random
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from ddp_perception.checkpoints.plain_pickle import load_plain
from ddp_perception.checkpoints.reading import load_checkpoint_file

COUNT = 1500
_CODES = b'()]}.0123456789BCGJKMNRTUX\x80\x81\x85\x86\x87\x88\x8c\x93\x94\x95abehjqrstu'


def _infos(protocol):
    value = {'metainfo': {'version': 'v1'}, 'data_list': [
        {'token': str(i), 'pose': np.eye(4).tolist(), 'boxes': np.ones((2, 7)),
         'number': np.float32(i)} for i in range(4)]}
    return pickle.dumps(value, protocol=protocol)


def _checkpoint(zipped=True):
    state = OrderedDict(w=torch.ones(3, 2), v=torch.arange(4), b=torch.ones(2).half())
    state._metadata = OrderedDict(a={'version': 1})
    content = io.BytesIO()
    torch.save({'state_dict': state, 'meta': {'epoch': 3, 'names': {'a', 'b'}},
                'curve': HistoryBuffer([1., 2.], [1, 1])}, content,
               _use_new_zipfile_serialization=zipped)
    return content.getvalue()


def _damage(content, generator):
    content = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 4, 16))):
        place = generator.randrange(len(content))
        what = generator.randrange(5)
        if what == 0:
            content[place] = generator.randrange(256)
        elif what == 1:
            content[place] = generator.choice(_CODES)
        elif what == 2:
            del content[place:place + generator.choice((1, 3, 30))]
        elif what == 3:
            content[place:place] = bytes(generator.choices(_CODES, k=3))
        else:
            other = generator.randrange(len(content))
            content[place:place] = content[other:other + generator.randrange(40)]
        if not content:
            break
    return bytes(content)


def _damage_record(content, generator):
    """Damage the pickle inside an archive, which stays a good archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, 'w') as new:
        for name in old.namelist():
            record = old.read(name)
            new.writestr(name, _damage(record, generator)
                         if name.endswith('data.pkl') else record)
    return out.getvalue()


CASES = {
    'infos': (load_plain, _infos(4), _damage),
    'infos of protocol 2': (load_plain, _infos(2), _damage),
    'archive': (load_checkpoint_file, _checkpoint(), _damage),
    'pickle in an archive': (load_checkpoint_file, _checkpoint(), _damage_record),
    'old checkpoint': (load_checkpoint_file, _checkpoint(zipped=False), _damage)}


def _peak_memory():
    """KiB that this process held at most since its peak was last forgotten."""
    status = Path('/proc/self/status').read_text()
    return int(status.partition('VmHWM:')[2].split()[0])


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_damaged_files_are_read_or_refused_in_one_line(name, tmp_path):
    read, content, damage = CASES[name]
    generator = random.Random(name)
    path = tmp_path / 'file.pth'
    path.write_bytes(content)
    read(path)
    # Other tests of this process may have needed more: forget their peak.
    Path('/proc/self/clear_refs').write_text('5')
    before = _peak_memory()
    refused = 0
    for _ in range(COUNT):
        damaged = damage(content, generator)
        path.write_bytes(damaged)
        started = time.monotonic()
        try:
            read(path)
        except ValueError as error:
            refused += 1
            assert str(path) in str(error), damaged
            assert len(str(error).splitlines()) == 1, damaged
        assert time.monotonic() - started < 10, damaged
    assert refused > COUNT / 4
    assert _peak_memory() - before < 1 << 20
