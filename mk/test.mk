# SPDX-License-Identifier: BSD-2-Clause
# make test is what CI runs. Each part can be run alone: make unit, unit-asan, prog, netns,
# interop, test-vm.

TEST_TOOLS := $(patsubst tests/lib/tools/%.c,$(BUILD)/tests/tools/%,$(wildcard tests/lib/tools/*.c))
TEST_RUN    = BUILD='$(BUILD)' MAKE='$(MAKE)' tests/run.sh

# Variants that some scenarios need, each in a build folder of its own.
VARIANT_NEXT    := $(BUILD)/next
VARIANT_HOSTILE := $(BUILD)/hostile

.PHONY: test-tools test-build variants interop test-vm

$(BUILD)/tests/tools/%: tests/lib/tools/%.c
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $< -o $@
test-tools: $(TEST_TOOLS)

# The worker's ESP behind a pipe, for judges in other languages.
ESPBOX := $(BUILD)/tests/tools/espbox
$(ESPBOX): $(BUILD)/tests/interop/espbox.o $(BUILD)/libworker.a $(BUILD)/libxipsec.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(LIBS_WORKER) -o $@

# iked's messages, for the same.
IKEBOX := $(BUILD)/tests/tools/ikebox
$(IKEBOX): $(BUILD)/tests/interop/ikebox.o $(BUILD)/libiked.a $(BUILD)/libxipsec.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ -lcrypto -lmnl -o $@

# Another ABI (for upgrades) and the build that can run hostile code in a worker; its iked takes a silent
# peer for dead after 7.5 s.
variants:
	@$(MAKE) --no-print-directory BUILD=$(VARIANT_NEXT) EXTRA_CPPFLAGS=-DXIPSEC_ABI=1000 all
	@$(MAKE) --no-print-directory BUILD=$(VARIANT_HOSTILE) EXTRA_CPPFLAGS='-DXIPSEC_HOSTILE -DRETRANSMIT_TRIES=4' all

test-build: all unit-build prog-build test-tools $(ESPBOX) $(IKEBOX)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SAN=1 unit-build
	@$(MAKE) --no-print-directory variants
	@$(MAKE) --no-print-directory fuzz-build

# deps first, alone: without it nothing can be built. A recursive make sees the packages just come.
test:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -k test-build || echo 'test: the build failed: what stands is tested' >&2
	@SHARE=vm $(TEST_RUN) unit unit-asan prog netns interop fuzz vm; status=$$?; $(GIVE_BACK); exit $$status

unit: unit-build
	@$(TEST_RUN) unit
unit-asan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SAN=1 unit-build
	@$(TEST_RUN) unit-asan
prog: prog-build
	@$(TEST_RUN) prog; status=$$?; $(GIVE_BACK); exit $$status
netns: all test-tools variants
	@$(TEST_RUN) netns; status=$$?; $(GIVE_BACK); exit $$status
interop: all test-tools $(ESPBOX) $(IKEBOX) variants
	@$(TEST_RUN) interop; status=$$?; $(GIVE_BACK); exit $$status
# KERNEL=6.1, 6.12 (both without) or newest, ONLY=PATTERN; ENGINE=xfrm: scenarios over that engine.
# The guests run what is built here.
test-vm:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory all prog-build test-tools $(ESPBOX) $(if $(ONLY),$(IKEBOX) variants)
	@KERNEL='$(KERNEL)' ONLY='$(ONLY)' $(if $(ENGINE),XIPSEC_ENGINE='$(ENGINE)') $(TEST_RUN) vm; status=$$?; $(GIVE_BACK); exit $$status
