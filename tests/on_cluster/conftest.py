"""Run the cluster once for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.on_cluster.job_cluster import Cluster, job_cluster


@pytest.fixture(scope="package")
def cluster(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    with job_cluster(environment, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
