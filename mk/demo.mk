# SPDX-License-Identifier: BSD-2-Clause
# make demo: two gateways in namespaces, keyed by IKE, traffic, a verdict; make demo-manual: with keys of
# the config. Needs root; installs what is missing.

# What sudo built belongs to root, and the user's next `make` could not write there.
GIVE_BACK = [ -z "$$SUDO_UID" ] || chown -R "$$SUDO_UID:$$SUDO_GID" '$(BUILD)'

.PHONY: demo demo-manual
demo-manual: DEMO_KEYS := manual
demo demo-manual:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory all test-tools && BUILD='$(BUILD)' KEYS='$(DEMO_KEYS)' tests/demo.sh; \
		status=$$?; $(GIVE_BACK); exit $$status
