"""Walks a compiled file on this machine, as Kubeflow's driver and launcher would on a cluster.

It is no cluster: steps run one after the other, as processes of this machine.
"""
