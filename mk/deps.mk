# SPDX-License-Identifier: BSD-2-Clause
# make deps installs what build, tests, demo, bench and checks need: Debian's own packages, one list.
# Quiet when nothing is missing; apt's lists are fetched only if apt does not find a package without.
# charon-systemd brings a unit that Debian enables: where it comes by this, the unit is masked first, or a
# second IKE daemon would hold ports 500 and 4500 now and after every boot. Tests run charon themselves.
# libreswan's package and charon's exclude each other: it is unpacked beside the system, for one scenario.

DEPS_BUILD := build-essential clang llvm flex bison pkg-config bpftool linux-libc-dev libbpf-dev \
	      libxdp-dev libssl-dev libipsec-mb-dev libmnl-dev libnftables-dev libevent-dev \
	      libcap-ng-dev libseccomp-dev libjson-c-dev libpcap-dev libncurses-dev
DEPS_TEST  := libcmocka-dev iproute2 iputils-ping ethtool iperf3 tcpdump tshark jq procps \
	      python3-minimal python3-scapy python3-prometheus-client python3-cryptography \
	      python3-cryptography-vectors xdp-tools nftables strongswan-swanctl charon-systemd \
	      libcharon-extra-plugins libstrongswan-standard-plugins libstrongswan-extra-plugins \
	      libnss3-tools libldns3 libunbound8 libcurl3-nss wireguard-tools qemu-system-x86 busybox-static \
	      kmod xz-utils libclang-rt-14-dev tmux
DEPS_CHECK := git clang-format cppcheck shellcheck mandoc systemd
LIBRESWAN  := /var/cache/xipsec/libreswan
DEPS       := $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_CHECK)

.PHONY: deps
deps:
	@missing=; for package in $(DEPS); do \
		case "$$(dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null)" in \
		installed) ;; *) missing="$$missing $$package" ;; esac; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ]; then \
		echo "deps: missing:$$missing" >&2; \
		echo "deps: run as root: sudo make deps" >&2; exit 1; \
	fi; \
	echo "deps: installing$$missing"; \
	unit=/etc/systemd/system/strongswan.service; \
	case "$$missing " in *' charon-systemd '*) \
		[ -e $$unit ] || [ -L $$unit ] || { \
			mkdir -p $${unit%/*} && ln -s /dev/null $$unit && \
			echo "deps: strongswan.service is masked; to use it: systemctl unmask strongswan"; \
		} || exit 1 ;; \
	esac; \
	export DEBIAN_FRONTEND=noninteractive; \
	install="apt-get install -y -qq --no-install-recommends $$missing"; \
	$$install >/dev/null 2>&1 </dev/null || { \
		apt-get update -qq && $$install >/dev/null </dev/null; \
	} || { echo "deps: apt-get could not install:$$missing" >&2; exit 1; }
	@[ -x $(LIBRESWAN)/usr/libexec/ipsec/pluto ] || { \
		if [ "$$(id -u)" != 0 ]; then \
			echo "deps: libreswan is missing: run as root: sudo make deps" >&2; exit 1; \
		fi; \
		echo "deps: unpacking libreswan into $(LIBRESWAN)"; \
		work=$$(mktemp -d) && mkdir -p $(dir $(LIBRESWAN)) && \
			(cd $$work && apt-get download -qq -o APT::Sandbox::User=root libreswan >/dev/null && \
			dpkg-deb -x libreswan_*.deb new && rm -rf $(LIBRESWAN) && mv new $(LIBRESWAN)); \
		status=$$?; rm -rf "$$work"; \
		[ $$status = 0 ] || { echo "deps: apt-get could not download libreswan" >&2; exit 1; }; \
	}
