# rules.mk - how the tests are built and run (make check and its parts)
#
# Included by the Makefile, whose variables it uses; all paths from the root.

# of scripts, which wait about as much as they compute, one more than there are
# processors
PROCESSORS := $(shell nproc 2>/dev/null || echo 2)
JOBS	 = $(shell expr $(PROCESSORS) + 1)
# make's, where nobody has said how many
BUILD_JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j $(PROCESSORS))
# failed tests by name, each with what it saw; how long each script took
PROVE	 = prove --timer --failures --comments
# longest first, so that none runs on alone in the end
LONG_UNIT = callers tender delta base fetch
LONG_CLI = t0341 t0340 t0339 t0383 t0374 t0337 t0360 t0378 t0336 t0370
longest	 = $(foreach l,$(1),$(filter %/$(l)_test t/$(l)-%,$(2))) \
	  $(filter-out $(foreach l,$(1),%/$(l)_test t/$(l)-%),$(2))
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

# the gateway on a clock of the test's: it reads the loop's
$(O)/t/unit/callers_test: private CFLAGS += -Wl,--wrap=ev_now

# the libOS's scheduler and signals, run natively: its own objects
THREAD_TEST = $(addprefix task/,thread switch spawn fork futex robust signal \
	  sigframe sigrestart sigcall timer) arch/xstate
$(O)/t/unit/thread_test: private CFLAGS += -no-pie -fno-pie \
	  -Wl,--wrap=__asan_handle_no_return
$(O)/t/unit/thread_test: $(THREAD_TEST:%=$(NATIVE)/%.o)

# and its memory
MEM_TEST = $(addprefix mem/,mem kmalloc user module refused) \
	  $(addprefix map/,mmap inplace remap protect elf)
# at an address between the windows of a guest
$(O)/t/unit/mem_test: private CFLAGS += -no-pie -fno-pie \
	  -Wl,-Ttext-segment=0x78000000
$(O)/t/unit/mem_test: $(O)/t/unit/mem_guest.o $(MEM_TEST:%=$(NATIVE)/%.o)

# from a fresh checkout: installs and builds what is missing, then every test
# that this machine can run, by each tender that it can.  TENDER=kvm or process: by that one, and root's /dev/kvm is hidden for
# process.
check: deps
	$(Q)sh t/deps.sh check
	$(Q)$(MAKE) --no-print-directory $(BUILD_JOBS) DEVELOPER=1 lint build-tests
	$(Q)$(MAKE) --no-print-directory DEVELOPER=1 check-unit
	$(Q)$(MAKE) --no-print-directory DEVELOPER=1 check-cli
	$(Q)$(MAKE) --no-print-directory DEVELOPER=1 check-fuzz

build-tests: all $(UNIT) $(O)/t/deny $(O)/t/layers/made

check-unit: all $(UNIT)
	$(Q)USETL_TENDER=$(TENDER) $(FINDINGS) sh t/tender.sh $(PROVE) -j $(JOBS) \
	  $(call longest,$(LONG_UNIT),$(UNIT))

check-cli: all $(O)/t/deny $(O)/t/layers/made
	$(Q)USETL=$(abspath $(O))/usetl USETL_TENDER=$(TENDER) \
	  $(FINDINGS) sh t/tender.sh $(PROVE) -j $(JOBS) \
	  $(call longest,$(LONG_CLI),$(sort $(wildcard t/t[0-9]*.sh)))

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

# what is in every image of this host, which scripts need not each bake; as
# usetl's store, in a folder that XDG_DATA_HOME may be
$(O)/t/layers/made: $(O)/usetl $(wildcard t/functions/echo/*)
	$(call say,BAKE,t/functions/echo)
	@mkdir -p $(@D)
	$(Q)rm -rf $(@D)/usetl
	$(Q)$(abspath $(O))/usetl bake --no-check --store $(@D)/usetl \
	  -o $@.usetl t/functions/echo >$(@D)/log 2>&1 || { cat $(@D)/log; exit 1; }
	$(Q)rm -f $@.usetl && touch $@

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
	$(Q)$(MAKE) --no-print-directory $(BUILD_JOBS) $(if $(SANITIZE),,\
	  SANITIZE=address,undefined O=$(O)/address-undefined) run-fuzz

fuzz:
	$(Q)echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
	  clang -x c -fsanitize=fuzzer -o /dev/null - || { echo \
	  "fuzz: install clang and libclang-rt-14-dev" >&2; exit 1; }
	$(Q)$(MAKE) --no-print-directory O=$(O)/libfuzzer CC=clang \
	  SANITIZE=fuzzer-no-link,address,undefined \
	  FUZZ_FLAGS='-fsanitize=fuzzer -DLIBFUZZER' run-libfuzzer

$(O)/t/fuzz/fuzz_%: t/fuzz/fuzz_%.c t/fuzz/driver.c t/fuzz/fuzz.h \
		t/unit/guestfs.h t/unit/nolibc.h t/unit/shadow.h \
		$(O)/libusetl.a $(SAN_OBJ)
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(CFLAGS) $(FUZZ_FLAGS) -o $@ $< \
	  t/fuzz/driver.c $(SAN_OBJ) $(O)/libusetl.a $(LIBS)
# the libOS's files are included there
$(O)/t/fuzz/fuzz_index: $(wildcard unikernel/*/*.[ch])

run-fuzz: $(FUZZ)
	$(Q)$(FINDINGS) $(PROVE) -j $(PROCESSORS) $(FUZZ) :: t/fuzz/corpus

run-libfuzzer: $(FUZZ)
	$(Q)for f in $(FUZZ); do c=$${f##*/fuzz_}; \
	  mkdir -p $(O)/corpus/$$c && \
	  $$f -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(O)/$$c- \
	    $(O)/corpus/$$c $$(find t/fuzz/corpus -name $$c) || exit 1; done

lint: all
	$(Q)mandoc -Tlint -Wwarning man/*.[0-9]
	$(Q)sh t/kabi.sh
	$(Q)/usr/bin/python3 -B t/wings.py $(O)
	$(Q)/usr/bin/python3 -B t/pystyle.py .

# rows of usetl beside its peers, and the papers' figures, as tables and plots in
# build/bench.html; BENCH names groups of them, see t/bench/bench.py
bench:
	$(Q)sh t/deps.sh bench
	$(Q)$(MAKE) --no-print-directory all
	$(Q)/usr/bin/python3 -B t/bench/bench.py --usetl $(O)/usetl \
	  --json $(O)/bench.json --page $(O)/bench.html $(BENCH)

.PHONY: check build-tests check-unit check-cli check-fuzz run-fuzz check-svm \
	run-svm fuzz run-libfuzzer lint bench
-include $(UNIT:=.d) $(wildcard $(O)/native/*/*.d $(O)/t/unit/mem_guest.d)
