"""The requests of the slowest chain of the update check, one after another."""

import requests
from plain import TIMEOUT, checked, job

with requests.Session() as session:
    for url in job()["urls"]:
        checked(session.get(url, timeout=TIMEOUT))
