"""What the soak keeps book of: how many requests the daemon has to have counted, how they ended, and what was wrong."""

import collections
import hashlib
import itertools
import secrets

MOST_COMPLAINTS = 5  # of one actor that are told


def pattern(seed, size):
    """Bytes that are a function of the seed. The block's length is a prime, so that whoever is shifted is found out."""
    block = hashlib.shake_256(seed.encode()).digest(4099)
    return (block * (size // len(block) + 1))[:size]


def request_body(token, size):
    return pattern("request " + token, size)


def response_body(token, size):
    return pattern("response " + token, size)


class Ledger:
    def __init__(self):
        self.made = 0  # requests that the daemon has to have counted
        self.outcomes = collections.defaultdict(collections.Counter)  # by actor
        self.complaints = []
        self.arrived = {}  # token: what to call when a server has its request
        self._numbers = itertools.count()

    def token(self):
        return f"{next(self._numbers)}-{secrets.token_hex(12)}"

    def note(self, actor, outcome):
        self.outcomes[actor][outcome] += 1

    def complain(self, actor, text):
        self.note(actor, "WRONG")
        if self.outcomes[actor]["WRONG"] <= MOST_COMPLAINTS:
            self.complaints.append(f"{actor}: {text}")

    def table(self):
        lines = []
        for actor in sorted(self.outcomes):
            said = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes[actor].most_common())
            lines.append(f"  {actor:<22} {said}")
        return "\n".join(lines)
