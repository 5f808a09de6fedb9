# SPDX-License-Identifier: BSD-2-Clause
# make demo: two gateways in namespaces, traffic, a verdict. Needs root; installs what is missing.

# What sudo built belongs to root, and the user's next `make` could not write there.
GIVE_BACK = [ -z "$$SUDO_UID" ] || chown -R "$$SUDO_UID:$$SUDO_GID" '$(BUILD)'

.PHONY: demo
demo:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory all test-tools && BUILD='$(BUILD)' tests/demo.sh; \
		status=$$?; $(GIVE_BACK); exit $$status
