"""What the writers of synthetic data sets share.

A writer stores drives through `data_tools.world` in the on-disk format of one
data set. Common to all are the folder and its record (`folder`), working
through the drives (`writing`), sensors (`sensors`), pictures (`images`), the
choice of worlds (`drives`), options and the command line.
"""
