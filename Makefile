# SPDX-License-Identifier: BSD-2-Clause
# make help tells the targets. Everything built goes to $(BUILD).

BUILD  ?= build
CC     ?= gcc
CLANG  ?= clang
PREFIX ?= /usr/local
V      ?= 0
Q      := $(if $(filter 1,$(V)),,@)
say     = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' '$(1)' '$(2)';)

MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
VERSION   := $(shell cat VERSION 2>/dev/null || echo 0.1.0)

WARN     := -Wall -Wextra -Werror -Wno-unused-parameter -Wshadow -Wstrict-prototypes -Wmissing-prototypes
HARDEN   := -fstack-protector-strong -fPIE
FORTIFY  := -D_FORTIFY_SOURCE=2
OPT      ?= -O2
CPPFLAGS += -I. -Iinclude -I$(BUILD)/gen -D_GNU_SOURCE -DXIPSEC_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu11 -g $(OPT) $(WARN) $(HARDEN)
LDFLAGS  += -pie -Wl,-z,relro,-z,now
ifdef SAN
CFLAGS   += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=address,undefined
else
CPPFLAGS += $(FORTIFY)
endif
CPPFLAGS += $(EXTRA_CPPFLAGS)

# The worker is optimised whole when it is linked with $(LTO): its packet functions are small and stand
# in many files; a tenth of opening a small packet was calls. Its objects are ordinary ones as well, so
# that what else links them (tests) need not wait for that. GCC alone; not with sanitizers.
ifndef SAN
ifeq ($(findstring clang,$(shell $(CC) --version)),)
LTO      := -flto -flto-partition=one
LTO_FAT  := -flto -ffat-lto-objects
LDFLAGS  += -fno-lto
endif
endif

BPFFLAGS := -target bpf -mcpu=v3 -g -O2 -Wall -Wextra -Werror -Wno-unused-parameter -I. -Iinclude -I/usr/include/$(MULTIARCH) $(EXTRA_CPPFLAGS)

LIBS_LOADER := -lxdp -lbpf -lmnl -lnftables -ljson-c -levent -lcrypto -lcap-ng -lseccomp
LIBS_WORKER := -lIPSec_MB -lcrypto -lseccomp -lcap-ng
LIBS_IKED   := -levent -lcrypto -lcap-ng -lseccomp
LIBS_TOOL   := -lxdp -lbpf -lmnl -lnftables -ljson-c -lcrypto -lpcap -lncurses -ltinfo
LIBS_TEST   := -lcmocka $(LIBS_LOADER) -lIPSec_MB -ljson-c

# A room's library is all its .c files but main.c; bpf objects become skeletons that loader/ embeds.
objs = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c)))
GRAMMAR_OBJS := $(patsubst %,$(BUILD)/gen/lib/%.o,config_scan config_parse)
LIB_OBJS     := $(call objs,lib) $(if $(wildcard lib/config_parse.y),$(GRAMMAR_OBJS))
LOADER_OBJS  := $(call objs,loader)
WORKER_OBJS  := $(call objs,worker)
IKED_OBJS    := $(call objs,iked)
TOOL_OBJS    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/xipsec/*.c))
SKELS        := $(patsubst bpf/%.bpf.c,$(BUILD)/gen/%.skel.h,$(wildcard bpf/*.bpf.c))
BINARIES     := $(BUILD)/xipsec $(BUILD)/xipsecd $(BUILD)/xipsec-worker $(BUILD)/xipsec-iked

.PHONY: all help deps demo test bench check install clean unit unit-asan prog netns format
all: $(BINARIES)

help:
	@echo "make            build into $(BUILD)/"
	@echo "make deps       install the packages that build and tests need (Debian 12; root)"
	@echo "make demo       two gateways in namespaces, traffic, a verdict (root)"
	@echo "make demo-manual  the same with manual keys (root)"
	@echo "make test       everything CI runs (root)"
	@echo "make test-vm    the short list under Debian's kernels in qemu; KERNEL=6.1 ONLY=PATTERN (root)"
	@echo "make fuzz       fuzz targets, FUZZ_TIME=$(FUZZ_TIME) seconds each; ONLY=PATTERN"
	@echo "make check      formatting, warnings with gcc and clang, static analysis, house rules"
	@echo "make bench      ratios, written to $(BUILD)/bench/report.json (root)"
	@echo "make bench-vm   guest instructions a packet, beside kernel XFRM and WireGuard; KERNEL=6.12 (root)"
	@echo "make install    DESTDIR= PREFIX=$(PREFIX)"

-include mk/*.mk

# ---------------------------------------------------------------- bpf
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) $(wildcard include/xipsec/*.h)
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPFFLAGS) -c $< -o $@
$(BUILD)/gen/%.skel.h: $(BUILD)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(call say,SKEL,$@)bpftool gen skeleton $< name $*_bpf > $@.tmp && mv $@.tmp $@
$(LOADER_OBJS): | $(SKELS)

# ---------------------------------------------------------------- grammar
$(BUILD)/gen/lib/config_parse.c: lib/config_parse.y
	@mkdir -p $(@D)
	$(call say,BISON,$@)bison -Wall -Werror --header=$(@:.c=.h) -o $@ $<
$(BUILD)/gen/lib/config_scan.c: lib/config_scan.l $(BUILD)/gen/lib/config_parse.c
	@mkdir -p $(@D)
	$(call say,FLEX,$@)flex --header-file=$(@:.c=.h) -o $@ $<
# The headers come with the sources; these lines make objects see that they are new.
$(BUILD)/gen/lib/%.h: $(BUILD)/gen/lib/%.c ;
$(BUILD)/gen/lib/%.o: $(BUILD)/gen/lib/%.c
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-error -w -MMD -MP -c $< -o $@
$(call objs,lib): | $(if $(wildcard lib/config_parse.y),$(BUILD)/gen/lib/config_scan.c)

# ---------------------------------------------------------------- C
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(WORKER_OBJS) $(BUILD)/worker/main.o: CFLAGS += $(LTO_FAT)
$(BUILD)/libxipsec.a: $(LIB_OBJS)
	$(call say,AR,$@)rm -f $@; ar rcs $@ $^
$(BUILD)/libloader.a: $(LOADER_OBJS)
	$(call say,AR,$@)rm -f $@; ar rcs $@ $^
$(BUILD)/libworker.a: $(WORKER_OBJS)
	$(call say,AR,$@)rm -f $@; ar rcs $@ $^
$(BUILD)/libiked.a: $(IKED_OBJS)
	$(call say,AR,$@)rm -f $@; ar rcs $@ $^
$(BUILD)/xipsecd: $(BUILD)/loader/main.o $(BUILD)/libloader.a $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(LIBS_LOADER) -o $@
$(BUILD)/xipsec-worker: $(BUILD)/worker/main.o $(BUILD)/libworker.a $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(LTO) $^ $(LIBS_WORKER) -o $@
$(BUILD)/xipsec-iked: $(BUILD)/iked/main.o $(BUILD)/libiked.a $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(LIBS_IKED) -o $@
$(BUILD)/xipsec: $(TOOL_OBJS) $(BUILD)/libloader.a $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(LIBS_TOOL) -o $@

# ---------------------------------------------------------------- tests (one binary a file)
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
PROG := $(patsubst tests/prog/%.c,$(BUILD)/tests/prog/%,$(wildcard tests/prog/test_*.c))
TESTLIB_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/lib/*.c))
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TESTLIB_OBJS) $(BUILD)/libworker.a $(BUILD)/libloader.a \
		     $(BUILD)/libiked.a $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LIBS_TEST) -o $@
# The engine's tests are two engines and a network.
$(filter $(BUILD)/tests/unit/test_engine%,$(UNIT)): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/ike_sim*.c))
$(BUILD)/tests/prog/%: $(BUILD)/tests/prog/%.o $(TESTLIB_OBJS) $(BUILD)/libloader.a $(BUILD)/libxipsec.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(LIBS_TEST) -o $@
$(addsuffix .o,$(PROG) $(BUILD)/tests/prog/bench_spd): | $(SKELS)
unit-build: $(UNIT)
prog-build: $(PROG)

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
.SECONDARY:
