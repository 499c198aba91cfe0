"""curl through the daemon to a stand-in NSBoot server."""

import hashlib
import json
import re
import tempfile

from harness import Daemon, RealTest, Standin, main, proxy_config, run

UPLOAD = bytes(range(256)) * 8192  # 2 MiB


def curl(*arguments, data=None):
    return run("curl", "--silent", "--show-error", "--max-time", "60", *arguments, data=data)


class CurlTest(RealTest):
    @classmethod
    def setUpClass(cls):
        cls.standin = cls.start(Standin)
        cls.daemon = cls.start(Daemon, proxy_config(cls.standin.address))

    def direct(self, target, *arguments):
        return curl(*arguments, f"http://{self.standin.address}{target}")

    def through(self, target, *arguments, data=None):
        return curl(*arguments, self.daemon.url(target), data=data)

    def fields(self, finished):
        """The last response head in curl's output as (status, {lower-case name: value})."""
        head = [part for part in re.split(r"\r\n\r\n", finished.text) if part.startswith("HTTP/")][-1]
        status, *lines = head.split("\r\n")
        return int(status.split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    def test_get_gives_the_bytes_of_the_server(self):
        target = "/images/disk.img?size=3MB"
        through = self.through(target)
        self.assertEqual(through.status, 0, through.stderr)
        self.assertEqual(len(through.stdout), 3_000_000)
        self.assertEqual(through.stdout, self.direct(target).stdout)

    def test_head_keeps_the_length_type_and_validators(self):
        head = self.through("/images/grub.efi?size=5GiB", "--head")
        status, fields = self.fields(head)
        self.assertEqual(status, 200)
        self.assertEqual(fields["content-length"], str(5 << 30))
        self.assertEqual(fields["content-type"], "application/efi")
        direct = self.fields(self.direct("/images/grub.efi?size=5GiB", "--head"))[1]
        for name in ("etag", "last-modified", "accept-ranges"):
            self.assertEqual(fields[name], direct[name])

    def test_head_then_get_on_one_connection(self):
        pair = curl("--verbose", "--head", self.daemon.url("/images/a?size=1000"), "--next", "--silent", "--verbose",
                    self.daemon.url("/images/a?size=1000"))
        self.assertEqual(pair.status, 0, pair.stderr)
        self.assertTrue(pair.stdout.endswith(self.direct("/images/a?size=1000").stdout))
        self.assertIn("Re-using existing connection", pair.stderr)

    def test_range_is_a_range(self):
        whole = self.direct("/images/san.img?size=1MB").stdout
        part = self.through("/images/san.img?size=1MB", "--include", "--range", "1024-1535")
        status, fields = self.fields(part)
        self.assertEqual(status, 206)
        self.assertEqual(fields["content-range"], "bytes 1024-1535/1000000")
        self.assertEqual(fields["content-length"], "512")
        self.assertEqual(part.stdout[-512:], whole[1024:1536])

    def test_range_beyond_the_end(self):
        status, fields = self.fields(self.through("/images/san.img?size=1MB", "--include", "--range", "1000000-"))
        self.assertEqual(status, 416)
        self.assertEqual(fields["content-range"], "bytes */1000000")

    def test_interrupted_download_is_resumed(self):
        whole = self.direct("/images/big.img?size=1MB").stdout
        with tempfile.NamedTemporaryFile() as file:
            file.write(whole[:400_000])
            file.flush()
            resumed = self.through("/images/big.img?size=1MB", "--continue-at", "-", "--output", file.name)
            self.assertEqual(resumed.status, 0, resumed.stderr)
            file.seek(0)
            self.assertEqual(file.read(), whole)

    def test_conditional_requests(self):
        etag = self.fields(self.through("/images/a?size=1000", "--head"))[1]["etag"]
        known = self.through("/images/a?size=1000", "--include", "--header", f"If-None-Match: {etag}")
        self.assertEqual(self.fields(known)[0], 304)
        self.assertTrue(known.text.endswith("\r\n\r\n"))
        changed = self.through("/images/a?size=1000", "--include", "--header", 'If-Match: "another"')
        self.assertEqual(self.fields(changed)[0], 412)

    def test_upload_waits_for_100_continue(self):
        uploaded = self.through("/api/images/upload", "--verbose", "--request", "POST", "--header", "Expect: 100-continue",
                                "--expect100-timeout", "30", "--data-binary", "@-", data=UPLOAD)
        self.assertEqual(uploaded.status, 0, uploaded.stderr)
        self.assertEqual(uploaded.stderr.count("< HTTP/1.1 100 Continue"), 1)
        answer = json.loads(uploaded.stdout)
        self.assertEqual((answer["size"], answer["sha256"]), (len(UPLOAD), hashlib.sha256(UPLOAD).hexdigest()))

    def test_upload_without_length(self):
        uploaded = self.through("/api/images/upload", "--request", "POST", "--header", "Expect:", "--upload-file", "-",
                                data=UPLOAD)
        self.assertEqual(uploaded.status, 0, uploaded.stderr)
        self.assertEqual(json.loads(uploaded.stdout)["sha256"], hashlib.sha256(UPLOAD).hexdigest())

    def test_offer_of_http_2_with_a_body(self):
        """With --http2 curl asks to switch to h2c and sends its body at once: nobody switches, all of it is served."""
        for body in (b"name=nsboot", UPLOAD):
            posted = self.through("/api/images/upload", "--http2", "--verbose", "--header", "Expect:", "--data-binary", "@-",
                                  data=body)
            self.assertEqual(posted.status, 0, posted.stderr)
            self.assertIn("> Upgrade: h2c", posted.stderr)
            self.assertIn("< HTTP/1.1 201", posted.stderr)
            answer = json.loads(posted.stdout)
            self.assertEqual((answer["size"], answer["sha256"]), (len(body), hashlib.sha256(body).hexdigest()))

    def test_http_1_0_client(self):
        old = self.through("/images/a?size=100000", "--http1.0", "--include")
        self.assertEqual(old.status, 0, old.stderr)
        status, fields = self.fields(old)
        self.assertEqual(status, 200)
        self.assertNotIn("transfer-encoding", fields)
        self.assertTrue(old.stdout.endswith(self.direct("/images/a?size=100000").stdout))

    def test_raw_body_is_not_chunked_by_the_daemon(self):
        raw = self.through("/images/a?size=100000", "--raw")
        self.assertEqual(raw.stdout, self.direct("/images/a?size=100000").stdout)

    def test_login_and_refusal(self):
        def login(password):
            return self.through("/api/auth/login", "--include", "--json", json.dumps({"username": "admin", "password": password}))
        self.assertEqual(self.fields(login("nsboot"))[0], 200)
        self.assertEqual(self.fields(login("wrong"))[0], 401)

    def test_fifty_transfers_in_parallel(self):
        urls = [word for size in range(1, 51) for word in ("--output", "/dev/null", self.daemon.url(f"/images/p?size={size}0000"))]
        done = curl("--parallel", "--parallel-max", "50", "--fail", "--write-out", "%{http_code} %{size_download}\n", *urls)
        self.assertEqual(done.status, 0, done.stderr)
        self.assertEqual(sorted(done.text.split("\n")[:-1]), sorted(f"200 {size}0000" for size in range(1, 51)))


if __name__ == "__main__":
    main()
