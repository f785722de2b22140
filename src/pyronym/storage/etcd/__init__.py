"""A storage that several nodes share: a cluster of etcd."""
