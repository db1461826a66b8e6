"""A small IMAP server (RFC 3501, with MOVE and UIDPLUS where asked for) for tests: real sockets, real literals, and ways to misbehave."""

from __future__ import annotations

import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from nurture.mailbox.box import Address

USER, PASSWORD = "bounces@plant.test", 'se"cret\\'


@dataclass
class Mail:
    uid: int
    data: bytes
    is_deleted: bool = False


@dataclass
class ImapServer:
    """`folders` hold mails. `cut_after`: the connection breaks before that many commands of a kind (“UID FETCH”) were answered.

    `tls` is what it shows, by STARTTLS or, where it `is_private`, from the first byte. In place of an answer to `drips` it says a letter
    now and then, until the test is `over`.
    """

    port: int = 0
    folders: dict[str, list[Mail]] = field(default_factory=lambda: {"INBOX": []})
    capabilities: str = "IMAP4rev1 UIDPLUS MOVE"
    next_uid: int = 1
    uid_validity: int = 1
    cut_after: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # a kind of command -> NO with these words
    heard: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    is_private: bool = False
    drips: str = ""
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port, USER, PASSWORD, tls="none")

    def put(self, *mails: bytes, folder: str = "INBOX") -> None:
        for data in mails:
            self.folders.setdefault(folder, []).append(Mail(self.next_uid, data))
            self.next_uid += 1

    def count(self) -> dict[str, int]:
        return {name: len(mails) for name, mails in self.folders.items()}

    def number_anew(self) -> None:
        """As after a restored backup: other UIDs for the same mails."""
        self.uid_validity += 1
        for mail in self.folders["INBOX"]:
            mail.uid, self.next_uid = self.next_uid, self.next_uid + 1


class _Broken(Exception):
    """The connection ends here."""


class _Session(socketserver.StreamRequestHandler):
    imap: ImapServer

    def handle(self) -> None:
        with suppress(OSError):  # no handshake, or the other side had enough
            self._talk()
        self.request.close()  # the private one, where it became one

    def _talk(self) -> None:
        self.is_known, self.folder = False, ""
        self._say("* OK ready")
        while line := self.rfile.readline():
            tag, _blank, command = line.decode().rstrip("\r\n").partition(" ")
            try:
                with self.imap.lock:
                    self._answer(tag, command)
            except _Broken:
                return
            if command.upper() == "LOGOUT":
                return
            if command.upper() == "STARTTLS":
                self._become_private()

    def _become_private(self) -> None:
        assert self.imap.tls is not None
        self.request = self.imap.tls.wrap_socket(self.request, server_side=True)
        self.setup()

    def _answer(self, tag: str, command: str) -> None:
        words = command.split(" ")
        kind = " ".join(words[:2]).upper() if words[0].upper() == "UID" else words[0].upper()
        self.imap.heard.append(kind)
        if kind in self.imap.cut_after:
            self.imap.cut_after[kind] -= 1
            if self.imap.cut_after[kind] < 0:
                del self.imap.cut_after[kind]
                raise _Broken
        while kind == self.imap.drips and not self.imap.over.wait(0.02):
            self.wfile.write(b"*")
        if kind in self.imap.refused:
            self._say(f"{tag} NO {self.imap.refused[kind]}")
            return
        rest = command[len(kind) :].strip()
        problem = getattr(self, "do_" + kind.lower().replace(" ", "_"))(rest)
        self._say(f"{tag} NO {problem}" if problem else f"{tag} OK done")

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    # --- Commands: each gives why it was refused, or nothing ------------------------------------------------------------------

    def do_capability(self, rest: str) -> str:
        offers_tls = self.imap.tls is not None and not self.imap.is_private
        self._say(f"* CAPABILITY {self.imap.capabilities}{' STARTTLS' if offers_tls else ''}")
        return ""

    def do_starttls(self, rest: str) -> str:
        return "" if self.imap.tls else "never heard of it"

    def do_login(self, rest: str) -> str:
        user, _blank, password = rest.partition(" ")
        self.is_known = (_unquoted(user), _unquoted(password)) == (USER, PASSWORD)
        return "" if self.is_known else "[AUTHENTICATIONFAILED] no"

    def do_logout(self, rest: str) -> str:
        self._say("* BYE")
        return ""

    def do_select(self, rest: str) -> str:
        self.folder = _unquoted(rest)
        if not self.is_known or self.folder not in self.imap.folders:
            return "no such folder"
        self._say(f"* {len(self.imap.folders[self.folder])} EXISTS")
        self._say(f"* OK [UIDVALIDITY {self.imap.uid_validity}]")
        return ""

    def do_create(self, rest: str) -> str:
        if _unquoted(rest) in self.imap.folders:
            return "[ALREADYEXISTS] there is one"
        self.imap.folders[_unquoted(rest)] = []
        return ""

    def do_uid_search(self, rest: str) -> str:
        assert rest == "UNDELETED"
        found = " ".join(str(mail.uid) for mail in self._mails() if not mail.is_deleted)
        self._say(f"* SEARCH {found}".rstrip())
        return ""

    def do_uid_fetch(self, rest: str) -> str:
        uid, _blank, wanted = rest.partition(" ")
        for number, mail in enumerate(self._mails(), 1):
            if mail.uid == int(uid):
                if wanted == "(RFC822.SIZE)":
                    self._say(f"* {number} FETCH (UID {uid} RFC822.SIZE {len(mail.data)})")
                else:
                    self._body(number, mail, wanted)
        return ""

    def _body(self, number: int, mail: Mail, wanted: str) -> None:
        found = re.fullmatch(r"\(BODY\.PEEK\[\]<0\.(\d+)>\)", wanted)
        assert found
        data = mail.data[: int(found[1])]
        self.wfile.write(f"* {number} FETCH (UID {mail.uid} BODY[]<0> {{{len(data)}}}\r\n".encode())
        if "literal" in self.imap.cut_after:
            del self.imap.cut_after["literal"]
            self.wfile.write(data[: len(data) // 2])
            raise _Broken
        self.wfile.write(data + b")\r\n")

    def do_uid_move(self, rest: str) -> str:
        assert "MOVE" in self.imap.capabilities
        return self.do_uid_copy(rest) or self._remove(int(rest.partition(" ")[0]))

    def do_uid_copy(self, rest: str) -> str:
        uid, _blank, folder = rest.partition(" ")
        if _unquoted(folder) not in self.imap.folders:
            return "[TRYCREATE] no such folder"
        for mail in self._mails():
            if mail.uid == int(uid):
                self.imap.put(mail.data, folder=_unquoted(folder))
        return ""

    def do_uid_store(self, rest: str) -> str:
        uid, flags = rest.split(" ", 1)
        assert flags == r"+FLAGS.SILENT (\Deleted)"
        for mail in self._mails():
            mail.is_deleted = mail.is_deleted or mail.uid == int(uid)
        return ""

    def do_uid_expunge(self, rest: str) -> str:
        return self._remove(int(rest))

    def _remove(self, uid: int) -> str:
        self.imap.folders[self.folder] = [mail for mail in self._mails() if mail.uid != uid]
        return ""

    def _mails(self) -> list[Mail]:
        return list(self.imap.folders[self.folder])


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def imap_server(*, tls: ssl.SSLContext | None = None, is_private: bool = False) -> Iterator[ImapServer]:
    """A server on a free port of this machine."""
    found = ImapServer(tls=tls, is_private=is_private)
    with _Server(("127.0.0.1", 0), type("Session", (_Session,), {"imap": found})) as server:
        found.port = server.server_address[1]
        if tls is not None and is_private:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.over.set()
            server.shutdown()
            thread.join()
