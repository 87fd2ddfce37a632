"""A server on this machine that speaks OpenAI's chat completions, with a judge of one's own behind it."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPLY = re.compile(r"<reply-([AB])-([0-9a-f]{12})>\n(.*?)\n</reply-\1-\2>", re.DOTALL)


class Judges:
    """Answers every request with `say(request body, its replies by letter)`: text, a status
    code to fail with, or a list of the one thing to send in place of a completion.
    """

    def __init__(self, say):
        self.say, self.requests, self.keys = say, [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(body)
                outer.keys.append(self.headers["Authorization"])
                said = outer.say(body, replies(body))
                status = said if isinstance(said, int) else 200
                sent = said[0] if isinstance(said, list) else completion(said)
                self._send(status, json.dumps({"error": {"message": "no"}} if status != 200 else sent))

            def _send(self, status, text):
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # of five, the default, a busy machine drops some of 16 at once

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def completion(text):
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010},
    }


def replies(body):
    """The two replies that a request shows, by letter."""
    return {letter: text for letter, _, text in REPLY.findall(body["messages"][-1]["content"])}


def better(letter):
    return json.dumps({"better": letter})
