#!/usr/bin/env python3
"""Takes the webhook of rollover and checks its signature; prints what it is told.

    ./webhook-receiver.py SECRET_FILE [PORT]
"""
import hashlib
import hmac
import http.server
import json
import sys
import time

secret = open(sys.argv[1], "rb").read().strip()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stamp = self.headers.get("X-Rollover-Timestamp", "0")
        want = "sha256=" + hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        good = hmac.compare_digest(want, self.headers.get("X-Rollover-Signature", ""))
        if not good or abs(time.time() - int(stamp)) > 300:
            self.send_error(403)
            return
        self.send_response(204)
        self.end_headers()
        notice = json.loads(body)
        print(notice["zone"], notice["event"], notice["text"], flush=True)


http.server.HTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 8080), Receiver).serve_forever()
