"""Each task writes numbered lines to the standard error of its executor: PARTITIONS LINES PAUSE_MS."""

import os
import sys
import time

from pyspark.sql import SparkSession


def write(partition, _):
    for number in range(LINES):
        line = f"26/11/22 06:26:22 WARN Writer: line =p{partition}:{number}= of a table with as many lines\n"
        # One write each: the JVM of the executor copies whole lines then.
        os.write(2, line.encode())
        if number % 100 == 99:
            time.sleep(PAUSE_MS / 1000)
    yield partition


PARTITIONS, LINES, PAUSE_MS = (int(number) for number in sys.argv[1:])
spark = SparkSession.builder.appName("rolling").getOrCreate()
done = spark.sparkContext.parallelize(range(PARTITIONS), PARTITIONS).mapPartitionsWithIndex(write)
assert sorted(done.collect()) == list(range(PARTITIONS))
spark.stop()
