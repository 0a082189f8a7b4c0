# usetl - Python functions, each request in a fresh virtual machine
#
#   make            build build/usetl
#   make deps       install what is missing, from Debian's packages
#   make demo       bake, serve and invoke an example
#   make check      the tests
#
# V=1 shows commands; DEVELOPER=1 makes warnings errors; O=DIR builds elsewhere;
# SANITIZE=address,undefined instruments what it can, in a folder of its own.

comma	= ,
O	= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
PREFIX	= /usr/local
BINDIR	= $(PREFIX)/bin
MANDIR	= $(PREFIX)/share/man
VERSION	= 0.1.0

CFLAGS	= -O2 -g
PKGS	= libarchive inih libcurl libmicrohttpd libseccomp libelf jansson nettle libxxhash
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
# these are loaded when they are used (conf/lazylib.h), the others at start
LAZY	= libcurl libarchive libmicrohttpd libelf
# and of this a few functions are compiled in: a library less to load
INLINED	= libxxhash
PKG_LIBS   := $(shell pkg-config --libs $(filter-out $(LAZY) $(INLINED),$(PKGS)) \
	  2>/dev/null)

WARN	= -Wall -Wextra -Wno-unused-parameter -Wstrict-prototypes \
	  -Wmissing-prototypes -Wvla
ifdef DEVELOPER
WARN	+= -Werror
endif
# Of the guest, undefined behaviour is found in every test, as a fault of the
# libOS (but a program's pointers need not be aligned, nor are they on Linux);
# the rest in what unit tests run natively.  t/findings.sh fails with a finding.
ifneq ($(SANITIZE),)
SAN	= -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	  -fno-omit-frame-pointer -DUSETL_SANITIZE
GUEST_SAN = $(if $(findstring undefined,$(SANITIZE)),-fsanitize=undefined \
	  -fsanitize-undefined-trap-on-error -fno-sanitize=alignment)
SAN_OBJ	= $(O)/t/findings.o
FINDINGS = sh t/findings.sh
NATIVE	= $(O)/native
else
NATIVE	= $(O)/unikernel
endif

HOST_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DUSETL_VERSION='"$(VERSION)"' -DXXH_INLINE_ALL \
	  -I. -I$(O) $(WARN) $(SAN) $(PKG_CFLAGS)
# bound at start: a clone has only the C library (vmm/guest/nofork.h)
HOST_LDFLAGS = -Wl,-z,relro,-z,now
LIBS	= $(PKG_LIBS) -lev -lpthread -ldl

# What a crash report needs to name each function on the libOS's stack
GUEST_FRAMES = -fno-omit-frame-pointer -fno-optimize-sibling-calls \
	  $(if $(findstring clang,$(CC)),,-fno-shrink-wrap)

# The guest: freestanding, no vector registers, at fixed addresses below 2 GB
GUEST_CFLAGS = -std=gnu11 -O2 -g -I. -ffreestanding -fno-stack-protector \
	  -fno-pic -fno-pie -mcmodel=small -mgeneral-regs-only -mno-red-zone \
	  -fno-asynchronous-unwind-tables -fcf-protection=none -fno-common \
	  -fno-strict-aliasing $(GUEST_FRAMES) $(WARN)

OBJCOPY	?= objcopy
# clang's own assembler lacks directives
GAS	= $(if $(findstring clang,$(CC)),-fno-integrated-as)

ifndef V
Q	= @
say	= @echo '  $(1)	$(2)';
endif

HOST_SRC  = usetl.c $(wildcard cmd/*.c conf/*.c etlfs/*/*.c vmm/*/*.c)
HOST_ASM  = $(wildcard cmd/*.S conf/*.S etlfs/*/*.S vmm/*/*.S)
HOST_OBJ  = $(HOST_SRC:%.c=$(O)/%.o) $(HOST_ASM:%.S=$(O)/%.o)
GUEST_SRC = $(filter-out unikernel/arch/vdso.c,$(wildcard unikernel/*/*.c))
GUEST_ASM = $(wildcard unikernel/*/*.S)
GUEST_OBJ = $(GUEST_ASM:%.S=$(O)/%.o) $(GUEST_SRC:%.c=$(O)/%.o)
PYTHON_SRC = $(wildcard unikernel/python/*.py unikernel/python/*/*.py)

all: $(O)/usetl

$(O)/usetl: $(HOST_OBJ) $(SAN_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SAN) $(HOST_LDFLAGS) $(LDFLAGS) -o $@ \
	  $(HOST_OBJ) $(SAN_OBJ) $(LIBS)

$(O)/unikernel/libos.elf: $(GUEST_OBJ) unikernel/start/libos.ld
	$(call say,LINK,$@)
	$(Q)$(LD) -nostdlib -static --build-id=none -z noexecstack \
	  -T unikernel/start/libos.ld -o $@ $(GUEST_OBJ)

$(O)/unikernel/vdso.so: $(addprefix unikernel/,arch/vdso.c arch/vdso.ld abi.h \
	  arch/clock.h lib/kabi_time.h lib/types.h)
	$(call say,VDSO,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -I. -ffreestanding -fno-stack-protector -fPIC \
	  -mgeneral-regs-only -fno-asynchronous-unwind-tables \
	  -fcf-protection=none $(WARN) -shared -nostdlib \
	  -Wl,-soname,linux-vdso.so.1 -Wl,--hash-style=both \
	  -Wl,--build-id=none -Wl,-T,unikernel/arch/vdso.ld -o $@ $<

$(O)/etlfs/bake/python_run.o: etlfs/bake/bake.py
$(O)/etlfs/bake/python_boot.o: $(O)/etlfs/bake/python_boot.inc $(PYTHON_SRC)
$(O)/vmm/tender/blob_data.o: $(O)/unikernel/libos.elf $(O)/unikernel/vdso.so \
	  $(O)/vmm/stub.elf
$(O)/cmd/gdb_py.o: cmd/gdb.py

# which file each of them is in, as a program linked with it would say
$(O)/conf/lazylib_names.h: Makefile
	@mkdir -p $(@D)
	$(Q)echo 'int main(void) { return 0; }' >$@.c
	$(Q)echo 'static const char *const lazylib_file[LAZYLIBS] = {' >$@.tmp
	$(Q)for l in $(LAZY); do \
	  $(CC) -Wl,--no-as-needed $(LDFLAGS) -o $@.exe $@.c \
	    $$(pkg-config --libs $$l) && file=$$(readelf -d $@.exe | \
	    sed -n '/NEEDED/{s/.*\[\(.*\)\]/\1/p;q}') && test "$$file" || exit 1; \
	  printf '\t[LAZYLIB_%s] = "%s",\n' "$$(echo $${l#lib} | tr a-z A-Z)" \
	    "$$file" >>$@.tmp; done
	$(Q)echo '};' >>$@.tmp && mv $@.tmp $@
$(O)/conf/lazylib.o: $(O)/conf/lazylib_names.h

# each file's path in the guest and here; a folder is newer once one is gone
$(O)/etlfs/bake/python_boot.inc: $(PYTHON_SRC) $(sort $(dir $(PYTHON_SRC)))
	@mkdir -p $(@D)
	$(Q)printf '%s\n' $(PYTHON_SRC) | sed \
	  -e 's|^unikernel/python/\(.*\)|PYTHON("/usetl/lib/\1", "&")|' \
	  -e 's|/usetl/lib/boot.py|/usetl/boot.py|' >$@

# the process tender's stub page once more, as code at its address, for gdb
$(O)/vmm/stub.elf: $(O)/vmm/tender/process_stub.o
	$(call say,LINK,$@)
	$(Q)$(OBJCOPY) --rename-section \
	  .rodata=.text,alloc,load,readonly,code,contents $< $@.o
	$(Q)$(LD) -nostdlib -static --build-id=none -z noexecstack \
	  -Ttext=0x70100000 -e process_stub -o $@ $@.o

$(O)/unikernel/%.o: unikernel/%.c
	$(call say,GUEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) $(GUEST_SAN) -MMD -MP -c -o $@ $<

$(O)/unikernel/%.o: unikernel/%.S
	$(call say,GUEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GAS) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/%.o: %.S
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -I. -I$(O) $(CFLAGS) -MMD -MP -c -o $@ $<

deps:
	$(Q)sh t/deps.sh

# the whole of it from a fresh checkout: install, build, bake, serve, invoke
demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)sh t/demo.sh $(O)/usetl

include t/rules.mk
# --- installation

install: all
	install -Dm755 $(O)/usetl $(DESTDIR)$(BINDIR)/usetl
	for m in man/*.[0-9]; do \
	  install -Dm644 $$m $(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/}; done
	install -Dm644 conf/usetl.conf \
	  $(DESTDIR)$(PREFIX)/share/doc/usetl/usetl.conf

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/usetl
	for m in man/*.[0-9]; do \
	  rm -f $(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/}; done
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/usetl

dist:
	git archive --prefix=usetl-$(VERSION)/ -o usetl-$(VERSION).tar.gz HEAD

clean:
	rm -rf $(O)

.PHONY: all deps demo install uninstall dist clean
-include $(HOST_OBJ:.o=.d) $(GUEST_OBJ:.o=.d)
