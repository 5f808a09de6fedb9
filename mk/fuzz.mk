# SPDX-License-Identifier: BSD-2-Clause
# make fuzz FUZZ_TIME=60 [ONLY=PATTERN]: every target of tests/fuzz for so many seconds, two at a
# time. make fuzz-coverage: which lines of worker/ and lib/ the corpus reaches. docs/fuzzing.md.

FUZZ_TIME ?= 60
# libFuzzer and its sanitizers are clang's.
FUZZ_CC   ?= clang

FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_COMMON  := $(addprefix $(BUILD)/tests/fuzz/,harness.o see.o inside.o)
# Those of iked/ have a judge of their own.
FUZZ_IKE     := $(BUILD)/tests/fuzz/ike_must.o $(BUILD)/libiked.a
# The two variants, each with everything instrumented, in build folders of their own.
FUZZ_MAKE     = $(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=$(FUZZ_CC) SAN=1 \
		EXTRA_CPPFLAGS=-fsanitize=fuzzer-no-link FUZZ_LINK=-fsanitize=fuzzer
FUZZ_COV      = -fprofile-instr-generate -fcoverage-mapping
FUZZ_COV_MAKE = $(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz-coverage CC=$(FUZZ_CC) \
		EXTRA_CPPFLAGS='$(FUZZ_COV) -U_FORTIFY_SOURCE' \
		FUZZ_LINK='-fsanitize=fuzzer $(FUZZ_COV)'

.PHONY: fuzz fuzz-build fuzz-targets fuzz-coverage

$(BUILD)/tests/fuzz/fuzz_ike_%: $(BUILD)/tests/fuzz/fuzz_ike_%.o $(FUZZ_COMMON) $(FUZZ_IKE) \
				$(BUILD)/libworker.a $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(FUZZ_LINK) $^ $(LIBS_WORKER) -lmnl -o $@
$(BUILD)/tests/fuzz/fuzz_vici: $(BUILD)/tests/fuzz/fuzz_vici.o $(FUZZ_COMMON) $(BUILD)/libiked.a \
			       $(BUILD)/libworker.a $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(FUZZ_LINK) $^ $(LIBS_IKED) $(LIBS_WORKER) -lmnl -o $@
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_COMMON) $(BUILD)/libworker.a \
			    $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(FUZZ_LINK) $^ $(LIBS_WORKER) -lmnl -o $@
fuzz-targets: $(FUZZ_TARGETS)

fuzz-build:
	+@$(FUZZ_MAKE) fuzz-targets
fuzz: fuzz-build
	@BUILD='$(BUILD)' FUZZ_TIME='$(FUZZ_TIME)' ONLY='$(ONLY)' tests/run.sh fuzz
fuzz-coverage:
	+@$(FUZZ_COV_MAKE) fuzz-targets
	@BUILD='$(BUILD)' ONLY='$(ONLY)' tests/fuzz/coverage.sh
