"""The demos: from synthetic data to a report, on a CPU in minutes.

`course` is what all of them do; one module each says what is its own. The
commands ``demo``, ``demo-cityscapes``, ``demo-kitti`` and ``demo-joint`` run them.
"""
