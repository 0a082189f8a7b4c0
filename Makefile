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
PKGS	= libarchive inih libcurl libmicrohttpd libseccomp libelf jansson libcrypto
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

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

HOST_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DUSETL_VERSION='"$(VERSION)"' \
	  -I. -I$(O) $(WARN) $(SAN) $(PKG_CFLAGS)
# bound at start: a clone has only the C library (vmm/slim.h)
HOST_LDFLAGS = -Wl,-z,relro,-z,now
LIBS	= $(PKG_LIBS) -lev -lpthread

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

HOST_SRC  = usetl.c $(wildcard cmd/*.c vmm/*.c etlfs/*.c conf/*.c)
HOST_ASM  = $(wildcard vmm/*.S)
HOST_OBJ  = $(HOST_SRC:%.c=$(O)/%.o) $(HOST_ASM:%.S=$(O)/%.o)
GUEST_SRC = $(filter-out unikernel/vdso.c,$(wildcard unikernel/*.c))
GUEST_ASM = $(wildcard unikernel/*.S)
GUEST_OBJ = $(GUEST_ASM:%.S=$(O)/%.o) $(GUEST_SRC:%.c=$(O)/%.o)
PYTHON_SRC = $(wildcard unikernel/python/*.py)

all: $(O)/usetl

$(O)/usetl: $(HOST_OBJ) $(SAN_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SAN) $(HOST_LDFLAGS) $(LDFLAGS) -o $@ \
	  $(HOST_OBJ) $(SAN_OBJ) $(LIBS)

$(O)/unikernel/libos.elf: $(GUEST_OBJ) unikernel/libos.ld
	$(call say,LINK,$@)
	$(Q)$(LD) -nostdlib -static --build-id=none -z noexecstack \
	  -T unikernel/libos.ld -o $@ $(GUEST_OBJ)

$(O)/unikernel/vdso.so: unikernel/vdso.c unikernel/vdso.ld unikernel/abi.h
	$(call say,VDSO,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -I. -ffreestanding -fno-stack-protector -fPIC \
	  -mgeneral-regs-only -fno-asynchronous-unwind-tables \
	  -fcf-protection=none $(WARN) -shared -nostdlib \
	  -Wl,-soname,linux-vdso.so.1 -Wl,--hash-style=both \
	  -Wl,--build-id=none -Wl,-T,unikernel/vdso.ld -o $@ unikernel/vdso.c

$(O)/etlfs/python_run.o: etlfs/bake.py
$(O)/vmm/blob_data.o: $(O)/unikernel/libos.elf $(O)/unikernel/vdso.so $(PYTHON_SRC) \
	  $(O)/vmm/stub.elf cmd/gdb.py

# the process tender's stub page once more, as code at its address, for gdb
$(O)/vmm/stub.elf: $(O)/vmm/process_stub.o
	$(call say,LINK,$@)
	$(Q)$(OBJCOPY) --rename-section \
	  .rodata=.text,alloc,load,readonly,code,contents $< $@.o
	$(Q)$(LD) -nostdlib -static --build-id=none -z noexecstack \
	  -Ttext=0x70100000 -e proc_stub -o $@ $@.o

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

# --- tests

JOBS	 = 2
# failed tests by name, each with what it saw
PROVE	 = prove --failures --comments
UNIT_SRC = $(wildcard t/unit/*_test.c)
UNIT     = $(UNIT_SRC:%.c=$(O)/%)
LIB_OBJ  = $(filter-out $(O)/usetl.o,$(HOST_OBJ))

$(O)/libusetl.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJ)

# the libOS's objects for unit tests: the guest's own, or instrumented ones
$(O)/native/%.o: unikernel/%.c
	$(call say,NATIVE,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) $(SAN) -MMD -MP -c -o $@ $<

$(O)/native/%.o: unikernel/%.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(GAS) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/t/unit/%_test: t/unit/%_test.c $(O)/libusetl.a $(SAN_OBJ)
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(CFLAGS) $(HOST_LDFLAGS) -MMD -MP -o $@ $< \
	  $(filter %.o,$^) \
	  $(O)/libusetl.a $(LIBS)

# a guest of a hundred instructions, in the libOS's place
$(O)/t/unit/tender_test: $(O)/t/unit/tiny_blob.o
$(O)/t/unit/tiny_blob.o: t/unit/tiny_guest.S t/unit/tiny_guest.ld unikernel/abi.h
	@mkdir -p $(@D)
	$(Q)$(CC) -I. -c -o $(O)/t/unit/tiny_guest.o $<
	$(Q)$(LD) -nostdlib -static -z noexecstack --build-id=none \
	  -T t/unit/tiny_guest.ld -o $(O)/t/unit/tiny.elf \
	  $(O)/t/unit/tiny_guest.o
	$(Q)cd $(O)/t/unit && $(LD) -r -b binary -z noexecstack \
	  -o tiny_blob.o tiny.elf

# over references that are no virtual machines, on a clock of their own
$(O)/t/unit/pool_test $(O)/t/unit/callers_test: private CFLAGS += \
	  -Wl,--wrap=ref_start,--wrap=ev_now \
	  -Wl,--wrap=image_verify,--wrap=image_close

# the libOS's scheduler and signals, run natively: its own objects
THREAD_TEST = thread switch clone fork futex robust signal sigframe sigrestart \
	  sigcall timer xstate
$(O)/t/unit/thread_test: private CFLAGS += -no-pie -fno-pie \
	  -Wl,--wrap=__asan_handle_no_return
$(O)/t/unit/thread_test: $(THREAD_TEST:%=$(NATIVE)/%.o)

# and its memory
MEM_TEST = mem kmalloc mmap inplace remap protect elf user module
# at an address between the windows of a guest
$(O)/t/unit/mem_test: private CFLAGS += -no-pie -fno-pie \
	  -Wl,-Ttext-segment=0x78000000
$(O)/t/unit/mem_test: $(O)/t/unit/mem_guest.o $(MEM_TEST:%=$(NATIVE)/%.o)

deps:
	$(Q)sh t/deps.sh

# the whole of it from a fresh checkout: install, build, bake, serve, invoke
demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)sh t/demo.sh $(O)/usetl

# likewise, and every test that this machine can run, by each tender that it
# can.  TENDER=kvm or process: by that one, and root's /dev/kvm is hidden for
# process.
check: deps
	$(Q)sh t/deps.sh check
	$(Q)$(MAKE) --no-print-directory DEVELOPER=1 check-unit check-cli \
	  check-fuzz lint

check-unit: all $(UNIT)
	$(Q)USETL_TENDER=$(TENDER) $(FINDINGS) sh t/tender.sh $(PROVE) $(UNIT)

# the last are the longest
check-cli: all $(O)/t/deny
	$(Q)USETL=$(abspath $(O))/usetl USETL_TENDER=$(TENDER) \
	  $(FINDINGS) sh t/tender.sh $(PROVE) -j $(JOBS) $$(ls -r t/t[0-9]*.sh)

# on Debian's kvm_amd in QEMU's emulated AMD-V, on other processors than this
# one, and by processes on that kernel: some minutes; SVM=slice is a sample
check-svm:
	$(Q)sh t/deps.sh svm
	$(Q)$(MAKE) --no-print-directory run-svm

run-svm: all $(O)/t/unit/tender_test $(O)/t/guest/mkimage
	$(Q)SVM=$(SVM) $(PROVE) t/svm/check-svm.sh :: $(abspath $(O)/usetl \
	  $(O)/t/unit/tender_test $(O)/t/guest/mkimage)

$(O)/t/guest/mkimage: t/guest/mkimage.c $(O)/libusetl.a
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(CFLAGS) -MMD -MP -o $@ $< \
	  $(O)/libusetl.a $(LIBS)

# what containers and older kernels refuse, refused
$(O)/t/deny: t/deny.c
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(CFLAGS) -fno-sanitize=all -o $@ $< $(LDFLAGS) -lseccomp

# Fuzzers.  check-fuzz: each corpus and a bounded number of changes of it,
# always the same, by t/fuzz/driver.c; fuzz: by libFuzzer, FUZZ_SECONDS each.
FUZZ_SRC = $(wildcard t/fuzz/fuzz_*.c)
FUZZ     = $(FUZZ_SRC:%.c=$(O)/%)
FUZZ_SECONDS = 60

check-fuzz:
	$(Q)$(MAKE) --no-print-directory $(if $(SANITIZE),,\
	  SANITIZE=address,undefined O=$(O)/address-undefined) run-fuzz

fuzz:
	$(Q)echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
	  clang -x c -fsanitize=fuzzer -o /dev/null - || { echo \
	  "fuzz: install clang and libclang-rt-14-dev" >&2; exit 1; }
	$(Q)$(MAKE) --no-print-directory O=$(O)/libfuzzer CC=clang \
	  SANITIZE=fuzzer-no-link,address,undefined \
	  FUZZ_FLAGS='-fsanitize=fuzzer -DLIBFUZZER' run-libfuzzer

$(O)/t/fuzz/fuzz_%: t/fuzz/fuzz_%.c t/fuzz/driver.c t/fuzz/fuzz.h \
		t/unit/guestfs.h t/unit/shadow.h $(O)/libusetl.a $(SAN_OBJ)
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(CFLAGS) $(FUZZ_FLAGS) -o $@ $< \
	  t/fuzz/driver.c $(SAN_OBJ) $(O)/libusetl.a $(LIBS)
# the libOS's files are included there
$(O)/t/fuzz/fuzz_index: $(wildcard unikernel/*.[ch])

run-fuzz: $(FUZZ)
	$(Q)$(FINDINGS) $(PROVE) $(FUZZ) :: t/fuzz/corpus

run-libfuzzer: $(FUZZ)
	$(Q)for f in $(FUZZ); do c=$${f##*/fuzz_}; \
	  mkdir -p $(O)/corpus/$$c && \
	  $$f -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(O)/$$c- \
	    $(O)/corpus/$$c $$(find t/fuzz/corpus -name $$c) || exit 1; done

lint:
	$(Q)mandoc -Tlint -Wwarning man/*.[0-9]

bench:
	$(Q)sh t/deps.sh bench
	$(Q)$(MAKE) --no-print-directory all
	$(Q)/usr/bin/python3 -B t/bench/bench.py --usetl $(O)/usetl \
	  --json $(O)/bench.json $(BENCH)

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

.PHONY: all deps demo check check-unit check-cli check-fuzz run-fuzz \
	check-svm run-svm fuzz run-libfuzzer \
	lint bench \
	install uninstall dist clean
-include $(HOST_OBJ:.o=.d) $(GUEST_OBJ:.o=.d) $(UNIT:=.d)
-include $(wildcard $(O)/native/*.d $(O)/t/unit/mem_guest.d)
