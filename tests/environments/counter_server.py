"""A server for the tests of the process provider: counts its requests; `--broken` ends, `--slow` never gets healthy."""

import http.server
import subprocess
import sys
import time

if "--broken" in sys.argv:
    sys.exit("no such database")
if "--slow" in sys.argv:
    time.sleep(600)
if "--child" in sys.argv:  # a worker that its parent does not wait for, in the same group
    subprocess.Popen(["sleep", "600"])
count = 0


class Counter(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        global count
        count += self.path == "/add"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(count).encode())


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Counter).serve_forever()
