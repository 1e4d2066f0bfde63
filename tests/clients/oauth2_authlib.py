#!/usr/bin/env python3
"""The OAuth2 flow as Authlib performs it: oauth2_authlib.py BASE_URL USERNAME PASSWORD. See README.md beside it."""

import os
import subprocess
import sys
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, quote_plus as quote, urlsplit

VENV = os.path.join(tempfile.gettempdir(), "annals-clients-venv")
CLIENT, SECRET = "authlib", "s3cr:t/+ %&="
CALLBACK = "http://127.0.0.1:9/callback"


def inside_venv():
    """Runs this file again where Authlib is."""
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(os.path.join(VENV, "ready")):
        venv.create(VENV, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "authlib>=1.3", "requests"], check=True)
        open(os.path.join(VENV, "ready"), "w").close()
    os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])


def step(name, good, detail=""):
    print(("ok    " if good else "WRONG ") + name, detail if not good else "")
    if not good:
        sys.exit(1)


def main(base, username, password):
    import requests
    from authlib.common.security import generate_token
    from authlib.integrations.base_client.errors import OAuthError
    from authlib.integrations.requests_client import OAuth2Session
    from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    issuer = f"{base}/oauth2"
    found = requests.get(get_well_known_url(issuer, external=True), timeout=10)
    metadata = AuthorizationServerMetadata(found.json())
    step("discovery names the issuer that was asked about", metadata["issuer"] == issuer, metadata)
    # Authlib's check insists on https, which a loopback server does not speak.
    for name in AuthorizationServerMetadata.REGISTRY_KEYS:
        if not name.endswith(("_endpoint", "issuer")):
            getattr(metadata, f"validate_{name}", lambda: None)()
    step("metadata is valid", True)

    browser = requests.Session()
    login = browser.post(f"{base}/api/auth/login", timeout=10,
                         json={"username_or_email": username, "password": password})
    step("login", login.status_code == 200, login.text)

    def session(**more):
        return OAuth2Session(CLIENT, SECRET, scope="openid profile email", redirect_uri=CALLBACK,
                             code_challenge_method="S256",
                             token_endpoint_auth_method="client_secret_basic", **more)

    def parallel(**form):
        """Eight of the same request at the same moment: the statuses."""
        def one(_):
            return requests.post(metadata["token_endpoint"], data=form, auth=(quote(CLIENT), quote(SECRET)), timeout=10)
        with ThreadPoolExecutor(8) as pool:
            return sorted(answer.status_code for answer in pool.map(one, range(8)))

    def authorize(client):
        verifier = generate_token(64)
        url, state = client.create_authorization_url(metadata["authorization_endpoint"],
                                                     code_verifier=verifier)
        answer = browser.get(url, allow_redirects=False, timeout=10)
        return answer, state, verifier

    client = session()
    answer, state, verifier = authorize(client)
    back = answer.headers.get("location", "")
    step("authorize sends the browser back", answer.status_code == 302 and back.startswith(CALLBACK), back)
    step("the answer says who gives it (RFC 9207)", parse_qs(urlsplit(back).query)["iss"] == [issuer], back)
    headers = []
    client.register_compliance_hook("access_token_response", lambda got: headers.append(got.headers) or got)
    tokens = client.fetch_token(metadata["token_endpoint"], authorization_response=back,
                                state=state, code_verifier=verifier)
    step("tokens stay in no cache", headers[0].get("cache-control") == "no-store", headers)
    step("token", tokens["token_type"] == "Bearer" and "refresh_token" in tokens, tokens)
    claims = client.get(metadata["userinfo_endpoint"], timeout=10)
    step("userinfo", claims.status_code == 200 and claims.json()["preferred_username"] == username, claims.text)
    seen = client.introspect_token(metadata["introspection_endpoint"], token=tokens["access_token"])
    step("introspection", seen.json()["active"] is True, seen.text)

    old = tokens["refresh_token"]
    new = client.refresh_token(metadata["token_endpoint"], refresh_token=old)
    step("refresh rotates", new["refresh_token"] != old, new)
    claims = client.get(metadata["userinfo_endpoint"], timeout=10)
    step("the new token works", claims.status_code == 200, claims.text)
    try:
        session().refresh_token(metadata["token_endpoint"], refresh_token=old)
        step("reuse is refused", False)
    except OAuthError as error:
        step("reuse is refused", error.error == "invalid_grant", error)
    bearer = {"authorization": f"Bearer {new['access_token']}"}
    gone = requests.get(metadata["userinfo_endpoint"], headers=bearer, timeout=10)
    step("reuse ended the family", gone.status_code == 401, gone.text)

    client = session()
    answer, state, verifier = authorize(client)
    try:
        client.fetch_token(metadata["token_endpoint"], authorization_response=answer.headers["location"],
                           state=state, code_verifier=generate_token(64))
        step("a wrong verifier is refused", False)
    except OAuthError as error:
        step("a wrong verifier is refused", error.error == "invalid_grant", error)
    try:
        client.fetch_token(metadata["token_endpoint"], authorization_response=answer.headers["location"],
                           state=state, code_verifier=verifier)
        step("and has burnt the code", False)
    except OAuthError as error:
        step("and has burnt the code", error.error == "invalid_grant", error)
    answer, state, verifier = authorize(client)
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    statuses = parallel(grant_type="authorization_code", code=code, redirect_uri=CALLBACK,
                        code_verifier=verifier)
    step("of parallel exchanges one wins", statuses == [200] + [400] * 7, statuses)
    answer, state, verifier = authorize(client)
    tokens = client.fetch_token(metadata["token_endpoint"], authorization_response=answer.headers["location"],
                                state=state, code_verifier=verifier)
    statuses = parallel(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    step("of parallel refreshes one wins", statuses == [200] + [400] * 7, statuses)
    answer, state, verifier = authorize(client)
    tokens = client.fetch_token(metadata["token_endpoint"], authorization_response=answer.headers["location"],
                                state=state, code_verifier=verifier)
    revoked = client.revoke_token(metadata["revocation_endpoint"], token=tokens["refresh_token"])
    step("revocation", revoked.status_code == 200, revoked.text)
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    gone = requests.get(metadata["userinfo_endpoint"], headers=bearer, timeout=10)
    step("revocation ends the access token", gone.status_code == 401, gone.text)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    if sys.prefix == sys.base_prefix:
        inside_venv()
    main(sys.argv[1].rstrip("/"), *sys.argv[2:])
