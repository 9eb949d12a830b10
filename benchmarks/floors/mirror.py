"""curl | a multipart upload of the pipe, as boto3 does it by itself."""

import os
import subprocess

from plain import job

work = job()
os.environ.update(work["account"])

import boto3  # noqa: E402  after the environment it reads

client = boto3.client("s3", endpoint_url=work["endpoint"])
get = subprocess.Popen(["curl", "-sSf", work["url"]], stdout=subprocess.PIPE)
client.upload_fileobj(get.stdout, work["bucket"], "big.raw")
assert get.wait() == 0
