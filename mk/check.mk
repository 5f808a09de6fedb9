# SPDX-License-Identifier: BSD-2-Clause
# make check runs every step of tools/dev/check.sh and names all that fail; make check-STEP runs one.

CHECK_STEPS := format build-gcc build-clang cppcheck shell completion includes functions files spdx \
	       generated readme tables metrics man units rfc

.PHONY: check $(addprefix check-,$(CHECK_STEPS)) format

check:
	@BUILD='$(BUILD)' MAKE='$(MAKE)' tools/dev/check.sh $(CHECK_STEPS)

$(addprefix check-,$(CHECK_STEPS)): check-%:
	@BUILD='$(BUILD)' MAKE='$(MAKE)' tools/dev/check.sh $*

# Rewrites the C files that check-format would refuse.
format:
	@tools/dev/files.sh c | xargs -r clang-format -i
