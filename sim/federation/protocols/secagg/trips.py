"""The kinds of trips of SecAgg+, and the names of entries in their messages."""

from __future__ import annotations

from typing import Final

from sim.messages import TRAIN

# kinds of trips, in their order
KEYS: Final = "keys"  # advertise public keys
SHARES: Final = "shares"  # share out the secrets that unmask
UPLOAD: Final = TRAIN  # train, and upload the masked update
AGREE: Final = "agree"  # state which model was trained, and whose updates arrived
UNMASK: Final = "unmask"  # give the shares that the sum needs

# entries of messages; where there are several of a kind, they are one after the other
ADVERTISED: Final = "keys"  # the public keys of channel and mask
SIGNATURE: Final = "signature"
PEERS: Final = "peers"  # places of hospitals in the plan
SIGNATURES: Final = "signatures"
SEALED: Final = "sealed"  # two shares of each sender, readable by the receiver alone
COMMITMENTS: Final = "commitments"  # digests of these two shares
MASKED: Final = "masked"
UNUSABLE: Final = "unusable"  # places of the senders whose shares do not open
SURVIVORS: Final = "survivors"  # one bit a hospital
SHARED: Final = "shares"
