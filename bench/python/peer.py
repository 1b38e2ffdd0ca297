"""What a peer is: a callable `run`, and the time of each call."""

import time


class Peer:
    name = "?"

    def run(self):
        raise NotImplementedError

    def output(self):
        """The output (b h i d) as a torch tensor."""
        raise NotImplementedError

    def times(self, calls):
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            self.run()
            seconds.append(time.perf_counter() - start)
        return seconds
