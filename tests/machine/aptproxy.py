#!/usr/bin/env python3
"""A proxy for apt and nothing else: guests have no route to the outside, only this.

    aptproxy.py ADDRESS PORT CACHE-DIR ALLOWED-HOST...

Packages are kept in CACHE-DIR (they never change under one name); indexes are passed through.
"""
import hashlib
import http.server
import os
import shutil
import socketserver
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        host = urllib.parse.urlsplit(self.path).hostname
        if host not in ALLOWED:
            return self.send_error(403, f"{host} is not among the mirrors of this machine")
        if not self.path.endswith(".deb"):
            return self.relay(None)
        kept = os.path.join(CACHE, hashlib.sha256(self.path.encode()).hexdigest())
        if not os.path.exists(kept):
            return self.relay(kept)
        with open(kept, "rb") as source:
            self.send_response(200)
            self.send_header("Content-Length", str(os.path.getsize(kept)))
            self.end_headers()
            shutil.copyfileobj(source, self.wfile)

    def relay(self, keep):
        request = urllib.request.Request(self.path)
        for name in ("If-Modified-Since", "Range", "If-Range", "Cache-Control"):
            if keep is None and self.headers.get(name):
                request.add_header(name, self.headers[name])
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        except OSError as error:
            return self.send_error(502, str(error))
        self.send_response(answer.status)
        for name in ("Content-Length", "Content-Range", "Last-Modified", "Content-Type"):
            if answer.headers.get(name):
                self.send_header(name, answer.headers[name])
        if not answer.headers.get("Content-Length"):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if keep is None or answer.status != 200:
            return shutil.copyfileobj(answer, self.wfile)
        with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as copy:
            while block := answer.read(1 << 16):
                copy.write(block)
                self.wfile.write(block)
        whole = os.path.getsize(copy.name) == int(answer.headers.get("Content-Length", -1))
        os.rename(copy.name, keep) if whole else os.unlink(copy.name)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


if __name__ == "__main__":
    address, port, CACHE, *ALLOWED = sys.argv[1:]
    os.makedirs(CACHE, exist_ok=True)
    Server((address, int(port)), Handler).serve_forever()
