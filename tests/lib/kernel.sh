# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# What the running kernel is expected to have, by its number alone: the judge of what was probed.

# AF_XDP takes packets in several frames.
multi_buffer() { [ "$(printf '6.6\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.6 ]; }
