# SPDX-License-Identifier: BSD-2-Clause
# make demo: two gateways in namespaces, traffic, a verdict. Needs root; installs what is missing.

.PHONY: demo
demo:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory all test-tools
	@BUILD='$(BUILD)' tests/demo.sh
