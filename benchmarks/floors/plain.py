"""What all floors share: a token, a session of requests for each thread, the address of Glance."""

import json
import sys
import threading

import requests

TIMEOUT = 600
_LOCAL = threading.local()


def job():
    """What this script shall do."""
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


def log_in(account):
    """A session with a token for the project of clouds.yaml's `auth`."""
    auth = account["auth"]
    user = {"name": auth["username"], "password": auth["password"], "domain": {"id": auth["user_domain_id"]}}
    project = {"name": auth["project_name"], "domain": {"id": auth["project_domain_id"]}}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": project},
        }
    }
    session = requests.Session()
    session.trust_env = False
    answer = session.post(f"{auth['auth_url']}/auth/tokens", json=body, timeout=TIMEOUT)
    answer.raise_for_status()
    session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
    return session


def of_thread(token):
    """This thread's own session."""
    if not hasattr(_LOCAL, "session"):
        _LOCAL.session = requests.Session()
        _LOCAL.session.trust_env = False
        _LOCAL.session.headers["X-Auth-Token"] = token
    return _LOCAL.session


def checked(answer):
    """The answer, if it is a good one."""
    answer.raise_for_status()
    return answer
