"""Where a tap may differ from docs/tap-contract.md, and why. Empty is how it should be."""

from tap_common.testing import Waivers

WAIVERS: Waivers = {}
