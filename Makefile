# PacketBroker - see README.md.  `make help` lists the targets.

BUILD   ?= build
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wconversion -Wvla -Wmissing-prototypes \
           -Wstrict-prototypes -Wformat=2 -Wundef -Werror
HARDEN   = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE \
           -fstack-clash-protection
SANFLAGS = $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all \
           -fno-omit-frame-pointer -DPB_SANITIZED=1)
PKGS     = libpcap lmdb libcurl libmicrohttpd gnutls libxxhash \
           libzstd zlib jansson libhs
OPT      = $(CFLAGS) $(if $(SAN),$(SANFLAGS) -fPIE,$(HARDEN))
ALL      = -std=c17 -D_GNU_SOURCE -I. $(WARN) -MMD -MP $(OPT)
# Two libraries are loaded when they are first needed (base/late.h).
LATE     = libcurl libhs
LINK     = $(OPT) -pie -Wl,-z,relro,-z,now -Wl,--as-needed
LDLIBS   = $(shell pkg-config --libs $(filter-out $(LATE),$(PKGS))) -lm -lpthread

# What `pb` has in itself, where there are archives: a library that is loaded is
# 60 us and more of each start, and libpcap brings seven.  PB_STATIC= for none.
# The daemons, which talk to others, have none.
PB_STATIC ?= $(shell pkg-config --exists dbus-1 && echo pcap) \
             lmdb zstd z jansson
ARCHIVES := $(filter /%,$(foreach l,$(PB_STATIC),$(shell \
            $(CC) -print-file-name=lib$(l).a)))

LIB_DIRS ?= base conf pcapng recorder recorder/trailer \
            recorder/store recorder/store/index \
            recorder/store/facts recorder/store/read recorder/store/mend \
            recorder/store/retain recorder/store/write recorder/sift \
            recorder/flow recorder/flow/table recorder/filter \
            recorder/query/seen recorder/query recorder/link \
            recorder/transmit/engine recorder/transmit recorder/capture \
            recorder/intake recorder/port recorder/port/door \
            shipper shipper/ship shipper/state shipper/letters shipper/feed \
            shipper/wire shipper/worker shipper/sink shipper/upstream \
            shipper/pull shipper/edge shipper/operator \
            cli cli/audit cli/common cli/import cli/latency cli/replay \
            cli/status cli/trailers
LIB_SRC  := $(filter-out %/main.c,$(wildcard $(LIB_DIRS:=/*.c)))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB      := $(BUILD)/libpb.a
PROGRAMS := $(BUILD)/pb-recorder $(BUILD)/pb-shipper $(BUILD)/pb
UNIT     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
SIM      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/sim/test_*.c))
FUZZ     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(PROGRAMS)

help:
	@echo "make            build pb-recorder, pb-shipper and pb in $(BUILD)/"
	@echo "make deps       install what building and running needs (apt)"
	@echo "make deps-test  and what the tests need"
	@echo "make demo       three nodes on this machine, real traffic, two hops"
	@echo "make test       set-up and all tests"
	@echo "make check-san  all tests under ASan and UBSan"
	@echo "make check-tsan all tests under TSan"
	@echo "make check-leak all tests under valgrind"
	@echo "make sim        the store on a modelled disk, SEEDS=3000"
	@echo "make crash      a kill at every call of the write path"
	@echo "make chaos      every fault at random, CHAOS_SECONDS=60, CHAOS_SEED"
	@echo "make test-root  the pages' install and repairs, in a system made fresh"
	@echo "make fuzz       libFuzzer, FUZZ_SECONDS=60 for each target"
	@echo "make bench      us and our peers, side by side; bench-quick: under 2 minutes"
	@echo "make layers     check who includes whom"
	@echo "make install    and make user and configuration: DESTDIR, PREFIX=$(PREFIX)"

# --- building ------------------------------------------------------------

$(BUILD)/pkgs: Makefile
	@mkdir -p $(@D)
	@for p in $(PKGS); do pkg-config --exists $$p || { \
	  echo "$$p is missing: run 'make deps'" >&2; exit 1; }; done
	@touch $@

$(BUILD)/%.o: %.c | $(BUILD)/pkgs
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(ALL) -c -o $@ $<

$(LIB): $(LIB_OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/pb-recorder: $(BUILD)/recorder/main.o $(LIB)
$(BUILD)/pb-shipper: $(BUILD)/shipper/main.o $(LIB)
$(BUILD)/pb-recorder $(BUILD)/pb-shipper:
	@echo "  LINK $@"
	@$(CC) $(LINK) -o $@ $^ $(LDLIBS)

# Archives that want what is not here are left out.
OWN := $(if $(filter %/libpcap.a,$(ARCHIVES)),$(BUILD)/cli/static/bus.o) \
       $(ARCHIVES)
$(BUILD)/cli/static/bus.o: ALL += $(shell pkg-config --cflags dbus-1)
$(BUILD)/pb: $(BUILD)/cli/main.o $(LIB) $(OWN)
	@echo "  LINK $@"
	@$(CC) $(LINK) -o $@ $^ $(LDLIBS) 2>/dev/null || { \
	  echo "  LINK $@, with what is shared"; \
	  $(CC) $(LINK) -o $@ $(filter-out $(OWN),$^) $(LDLIBS); }

$(UNIT) $(SIM): %: %.o $(LIB)
	@echo "  LINK $@"
	@$(CC) $(LINK) -o $@ $^ $(LDLIBS) -lcmocka

# Without a fuzzer each target is a program that runs the files it is given.
FUZZ_MAIN = $(BUILD)/tests/fuzz/seeds_main.o
$(FUZZ): %: %.o $(FUZZ_MAIN) $(LIB)
	@echo "  LINK $@"
	@$(CC) $(LINK) -o $@ $^ $(LDLIBS)

.SECONDARY:

# --- set-up --------------------------------------------------------------

deps:
	@./tests/deps.sh build

deps-test:
	@./tests/deps.sh test

demo:
	@./tests/deps.sh demo
	@$(MAKE) --no-print-directory -j2 all
	@./tests/demo.sh $(BUILD)

# --- tests ---------------------------------------------------------------

test: deps-test
	@$(MAKE) --no-print-directory -j2 check

check: layers $(PROGRAMS) $(UNIT) $(SIM) $(FUZZ)
	@BUILD=$(BUILD) ./tests/run.sh

check-san: deps-test
	@$(MAKE) --no-print-directory -j2 check BUILD=build/san \
	    SAN=address,undefined CFLAGS="-O1 -g"

# Fixed addresses: this compiler's TSan knows no others.
check-tsan: deps-test
	@$(MAKE) --no-print-directory -j2 check BUILD=build/tsan SAN=thread \
	    CFLAGS="-O1 -g" PB_WRAP="setarch -R"

check-leak: deps-test
	@$(MAKE) --no-print-directory -j2 check BUILD=build/leak \
	    CFLAGS="-O1 -g" PB_WRAP="valgrind -q --leak-check=full \
	    --errors-for-leak-kinds=definite,possible --error-exitcode=99 \
	    --suppressions=$(CURDIR)/tests/leaks/valgrind"

# A kill at every call of the write path; `make test` does a part of it.
CRASH := $(BUILD)/tests/crash/work $(BUILD)/tests/crash/shim.so

$(BUILD)/tests/crash/work: $(BUILD)/tests/crash/work.o $(LIB)
	@echo "  LINK $@"
	@$(CC) $(LINK) -o $@ $^ $(LDLIBS)

# Preloaded into what may be sanitized: never sanitized itself.
CLOCK := $(BUILD)/tests/system/clock.so

$(BUILD)/tests/crash/shim.so $(CLOCK): $(BUILD)/%.so: %.c | $(BUILD)/pkgs
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) -std=c17 -D_GNU_SOURCE $(WARN) -O1 -g -fPIC -shared -o $@ $<

check: $(CRASH) $(CLOCK)

# What the benchmark of a search makes its packets, and a large store, with.
MIXED := $(BUILD)/tests/bench/mixed
SPARSE := $(BUILD)/tests/bench/sparse
# Numbered frames out of an interface.
SEND := $(BUILD)/tests/bench/send
# What reading trailers costs.
TRAILERS := $(BUILD)/tests/bench/trailers

$(MIXED): $(MIXED).o
	@echo "  LINK $@"
	@$(CC) $(LINK) -o $@ $^

$(SPARSE) $(SEND) $(TRAILERS): %: %.o $(LIB)
	@echo "  LINK $@"
	@$(CC) $(LINK) -o $@ $^ $(LDLIBS)

check: $(MIXED) $(SPARSE) $(SEND) $(TRAILERS)

crash: deps-test
	@$(MAKE) --no-print-directory -j2 all $(CRASH)
	@BUILD=$(BUILD) python3 -B tests/crash/kill.py

# The store on a modelled disk, a seed a run: `make sim SEEDS=N`.
SIM_STORE := $(BUILD)/tests/sim/store/sim_store
SEEDS    ?= 3000

$(SIM_STORE): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/store/*.c)) \
    $(LIB)
	@echo "  LINK $@"
	@$(CC) $(LINK) -o $@ $^ $(LDLIBS)

check: $(SIM_STORE)

sim: $(SIM_STORE)
	@$(SIM_STORE) --seeds $(SEEDS)

# One seed is one plan of faults; without CHAOS_SEED one is drawn and said.
CHAOS_SECONDS ?= 60
chaos: deps-test
	@$(MAKE) --no-print-directory -j2 all $(CLOCK)
	@BUILD=$(BUILD) CHAOS_SECONDS=$(CHAOS_SECONDS) \
	    CHAOS_SEED=$(CHAOS_SEED) python3 -B tests/chaos/chaos.py

fuzz: deps
	@./tests/fuzz/run.sh

# As root: a Debian of its own, booted in a container; minutes.
test-root:
	@./tests/deps.sh root
	@python3 -B tests/root/install.py

# Us and our peers, the same work in one run.  BENCH="--only NAME --rounds N",
# or BENCH="--against BUILD": another build of ours instead of the peers.
bench bench-quick:
	@./tests/bench/peers.sh
	@$(MAKE) --no-print-directory -j2 all $(MIXED) $(SPARSE) $(SEND) \
	    $(TRAILERS)
	@BUILD=$(BUILD) python3 -B tests/bench/bench.py \
	    $(if $(filter bench-quick,$@),--quick) --json $(BUILD)/bench.json \
	    $(BENCH)

# A lower folder never includes a higher one; a foreign library is met in one
# place; of what is built, no more than two files need each other.
layers: $(PROGRAMS)
	@python3 -B tests/layers.py $(BUILD)

# --- installing ----------------------------------------------------------

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(BUILD)/pb-recorder $(BUILD)/pb-shipper \
	    $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(BUILD)/pb $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/share/doc/packetbroker/examples
	install -m 644 README.md LICENSE docs/*.md \
	    $(DESTDIR)$(PREFIX)/share/doc/packetbroker
	install -m 644 conf/*.conf \
	    $(DESTDIR)$(PREFIX)/share/doc/packetbroker/examples
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for u in pb-recorder pb-shipper; do \
	  sed 's|@PREFIX@|$(PREFIX)|g' conf/$$u.service.in \
	    > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$u.service; done
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 644 cli/pb.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pb
	install -d $(DESTDIR)$(PREFIX)/lib/sysusers.d \
	    $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	install -m 644 conf/packetbroker.sysusers \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/packetbroker.conf
	install -m 644 conf/packetbroker.tmpfiles \
	    $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/packetbroker.conf
	./conf/setup.sh "$(PREFIX)" "$(DESTDIR)"

clean:
	rm -rf build

.PHONY: all help deps deps-test demo test test-root check check-san check-tsan check-leak sim chaos crash bench bench-quick layers install clean
-include $(shell find $(BUILD) -path $(BUILD)/root -prune -o -name '*.d' -print \
    2>/dev/null)
