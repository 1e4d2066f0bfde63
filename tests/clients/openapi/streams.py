"""Calls operations whose answers may never end, of which the fuzzer would wait for the end: their status is looked at, and they are left.

With nothing but a document it prints their paths; with a server's URL, the header Authorization and a number of calls it calls them.
"""

import os
import sys

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

import checks

schema = schemathesis.openapi.from_path(sys.argv[1])


def never_ends(operation) -> bool:
    answers = operation.definition.raw.get("responses", {})
    return operation.method == "get" and "text/event-stream" in answers.get("200", {}).get("content", {})


def follow(operation, url, authorization, examples):
    @settings(
        max_examples=int(examples),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy())
    def once(case):
        arguments = case.as_transport_kwargs(base_url=url)
        arguments["headers"] = {**arguments.get("headers", {}), "Authorization": authorization}
        with requests.request(**arguments, stream=True, timeout=10) as response:
            if response.status_code >= 500 and not checks.is_refusal(response):
                raise AssertionError(f"{response.status_code}: {response.text[:500]}")

    once()


for found in schema.get_all_operations():
    operation = found.ok()
    if not never_ends(operation):
        continue
    if len(sys.argv) == 2:
        print(operation.path)
    else:
        follow(operation, *sys.argv[2:])
        print(f"   {operation.label}: no server error", flush=True)
