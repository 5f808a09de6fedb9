# SPDX-License-Identifier: BSD-2-Clause
# make bench: ratios between things that ran in the same minutes, for absolute rates mean little on a
# shared machine. Prints a table, writes $(BUILD)/bench/report.json. Root.

BENCH_OBJS := $(addprefix $(BUILD)/tools/bench/,main.o frame.o generate.o sink.o reflect.o insn.o \
		idle.o tap.o)
BENCH_NULL := $(BUILD)/bench/null

.PHONY: bench bench-vm bench-build

$(BUILD)/bench/bench.bpf.o: tools/bench/bench.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPFFLAGS) -c $< -o $@
$(BUILD)/gen/bench.skel.h: $(BUILD)/bench/bench.bpf.o
	@mkdir -p $(@D)
	$(call say,SKEL,$@)bpftool gen skeleton $< name bench_bpf > $@.tmp && mv $@.tmp $@
$(BENCH_OBJS): | $(BUILD)/gen/bench.skel.h
$(BUILD)/bench/xipsec-bench: $(BENCH_OBJS)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ -lxdp -lbpf -o $@

# ESP in memory, beside the bare crypto calls. No root, no network.
$(BUILD)/bench/xipsec-bench-esp: $(addprefix $(BUILD)/tools/bench/,esp_memory.o esp_bare.o) \
				 $(BUILD)/libworker.a $(BUILD)/libxipsec.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(LTO) $^ $(LIBS_WORKER) -o $@

# Many initiators of IKE.
$(BUILD)/bench/xipsec-bench-ike: $(addprefix $(BUILD)/tools/bench/,ike_load.o ike_load_net.o ike_load_creds.o) \
				 $(BUILD)/libiked.a $(BUILD)/libxipsec.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(LIBS_IKED) -lmnl -o $@

# The same worker with another table of backends, and an xipsecd that finds it beside itself.
$(BENCH_NULL)/xipsec-worker: $(BUILD)/worker/main.o $(BUILD)/tools/bench/crypto_table_null.o \
			     $(filter-out %/crypto_table.o,$(WORKER_OBJS)) $(BUILD)/libxipsec.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(LTO) $^ $(LIBS_WORKER) -o $@
$(BENCH_NULL)/%: $(BUILD)/%
	@mkdir -p $(@D)
	@cp -f $< $@

bench-build: all $(BUILD)/bench/xipsec-bench $(BUILD)/bench/xipsec-bench-esp \
	     $(BUILD)/bench/xipsec-bench-ike $(BENCH_NULL)/xipsec-worker $(BENCH_NULL)/xipsecd \
	     $(BUILD)/tests/prog/bench_spd
# Instructions a packet, counted in a guest; KERNEL=6.12 unless said otherwise.
bench-vm:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory bench-build && BUILD='$(BUILD)' KERNEL='$(KERNEL)' tools/bench/vm_host.sh; \
		status=$$?; $(GIVE_BACK); exit $$status
bench:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory bench-build && BUILD='$(BUILD)' tools/bench/bench.sh; \
		status=$$?; $(GIVE_BACK); exit $$status
