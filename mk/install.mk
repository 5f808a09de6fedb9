# SPDX-License-Identifier: BSD-2-Clause
# make install DESTDIR= PREFIX=: programs, man pages, completion, units and an example config.
# An existing config is left alone; nothing is enabled or started.

SBINDIR     ?= $(PREFIX)/sbin
LIBEXECDIR  ?= $(PREFIX)/libexec/xipsec
SYSCONFDIR  ?= /etc/xipsec
MANDIR      ?= $(PREFIX)/share/man
UNITDIR     ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
SHAREDIR    ?= $(PREFIX)/share/xipsec
COMPDIR     ?= $(PREFIX)/share/bash-completion/completions

UNITS      := xipsec-attach.service xipsecd.service xipsec-iked.service
COMPLETION := $(firstword $(wildcard tools/xipsec/completion/xipsec tools/xipsec/xipsec.bash \
	      tools/xipsec/completion.bash))
MAN_PAGES  := $(wildcard docs/man/*.[1-9])
# docs/man/xipsec.8 goes to man8/xipsec.8
man_path    = $(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $(1)))/$(notdir $(1))

# xipsecd looks for xipsec-worker beside itself, then there: compiled in, so another PREFIX makes that
# one object again.
$(BUILD)/loader/worker_exec.o: CPPFLAGS += -DLIBEXECDIR='"$(LIBEXECDIR)"'
$(BUILD)/loader/worker_exec.o: $(BUILD)/gen/libexecdir
$(BUILD)/gen/libexecdir: FORCE
	@mkdir -p $(@D)
	@echo '$(LIBEXECDIR)' | cmp -s - $@ || echo '$(LIBEXECDIR)' >$@
FORCE:

.PHONY: install uninstall FORCE

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(TMPFILESDIR)
	install -m 0755 $(BUILD)/xipsec $(BUILD)/xipsecd $(BUILD)/xipsec-iked $(DESTDIR)$(SBINDIR)/
	install -m 0755 $(BUILD)/xipsec-worker $(DESTDIR)$(LIBEXECDIR)/
	$(foreach page,$(MAN_PAGES),install -D -m 0644 $(page) $(call man_path,$(page)) &&) true
	$(if $(COMPLETION),install -D -m 0644 $(COMPLETION) $(DESTDIR)$(COMPDIR)/xipsec)
	for unit in $(UNITS); do \
		sed 's,@SBINDIR@,$(SBINDIR),g' deploy/systemd/$$unit >$(DESTDIR)$(UNITDIR)/$$unit && \
		chmod 0644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	install -d $(DESTDIR)$(SHAREDIR)
	sed 's,@SBINDIR@,$(SBINDIR),g' deploy/systemd/metrics.conf >$(DESTDIR)$(SHAREDIR)/metrics.conf
	install -m 0644 deploy/prometheus/xipsec.rules.yml deploy/grafana/xipsec.json $(DESTDIR)$(SHAREDIR)/
	install -m 0644 deploy/tmpfiles/xipsec.conf $(DESTDIR)$(TMPFILESDIR)/
	install -d -m 0700 $(DESTDIR)$(SYSCONFDIR)
	[ -e $(DESTDIR)$(SYSCONFDIR)/xipsec.conf ] || \
		install -m 0600 deploy/xipsec.conf $(DESTDIR)$(SYSCONFDIR)/xipsec.conf

# Leaves the config and /var/lib/xipsec, whose records keep used keys from being used again, and
# leaves attached programs where they are: `xipsec detach --all` first, if that is wanted.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/xipsec $(DESTDIR)$(SBINDIR)/xipsecd $(DESTDIR)$(SBINDIR)/xipsec-iked
	rm -f $(DESTDIR)$(LIBEXECDIR)/xipsec-worker
	$(foreach page,$(MAN_PAGES),rm -f $(call man_path,$(page)) &&) true
	rm -f $(DESTDIR)$(COMPDIR)/xipsec $(UNITS:%=$(DESTDIR)$(UNITDIR)/%)
	rm -f $(DESTDIR)$(TMPFILESDIR)/xipsec.conf
	rm -f $(addprefix $(DESTDIR)$(SHAREDIR)/,metrics.conf xipsec.rules.yml xipsec.json)
	rmdir $(DESTDIR)$(SHAREDIR) 2>/dev/null || true
	rmdir $(DESTDIR)$(LIBEXECDIR) 2>/dev/null || true
