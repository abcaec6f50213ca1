# pgregent: `make` builds, `make demo` shows, `make test` proves. `make help` lists the rest.
#
# Layout: every directory under DIRS becomes one archive build/lib/lib<name>.a; programs and tests link
# the archives of the layers below them, so a layer that reaches upwards does not link.

CC      ?= gcc
BUILD   ?= build
PREFIX  ?= /usr/local
VERSION := 0.1.0

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum \
        -Wformat=2 -Wvla -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Werror
HARDEN := -fstack-protector-strong -fPIE -fno-strict-aliasing
ifeq ($(SAN),)
HARDEN += -D_FORTIFY_SOURCE=3 -O2
LINK   := -pie -Wl,-z,relro,-z,now
else
HARDEN += -O1 -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=undefined
LINK   := -pie -fsanitize=$(SAN)
endif
CFLAGS  ?= -g
PQ_INC  := $(shell pkg-config --cflags libpq 2>/dev/null)
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) $(HARDEN) $(PQ_INC) -D_GNU_SOURCE -DPGREGENT_VERSION='"$(VERSION)"' \
             -I. -Iproto -MMD -MP

# archive name = directory; order: a program links its own archives first, then these from high to low
DIRS := proto/rt proto/net proto/store proto/wire \
        site-agent/decide site-agent/pg site-agent/deadman site-agent \
        coordinator/decide coordinator coordinator/cli
lib  = $(BUILD)/lib/lib$(subst /,-,$(subst proto/,,$(1))).a
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c)))
LIBS := $(foreach d,$(DIRS),$(call lib,$(d)))

RT    := $(call lib,proto/rt)
NET   := $(call lib,proto/net) $(RT)
STORE := $(call lib,proto/store) $(RT)
WIRE  := $(call lib,proto/wire) $(RT)
PROTO := $(call lib,proto/store) $(call lib,proto/wire) $(call lib,proto/net) $(RT)
PG    := $(call lib,site-agent/pg) $(WIRE)
AGENT_DECIDE := $(call lib,site-agent/decide) $(WIRE)
COORD_DECIDE := $(call lib,coordinator/decide) $(WIRE)
DEADMAN := $(call lib,site-agent/deadman) $(PG)
AGENT := $(call lib,site-agent) $(call lib,site-agent/deadman) $(call lib,site-agent/pg) $(call lib,site-agent/decide) $(PROTO)
COORD := $(call lib,coordinator) $(call lib,coordinator/decide) $(PROTO)
CLI   := $(call lib,coordinator/cli) $(PROTO)

SYS_RT    := -ljansson -lyaml -lpthread
SYS_NET   := -lcurl -levent_openssl -levent_pthreads -levent -lssl -lcrypto
SYS_STORE := -lsqlite3
SYS_WIRE  := -lsodium
SYS_PG    := -lpq
SYS_ALL   := $(SYS_NET) $(SYS_STORE) $(SYS_WIRE) $(SYS_PG) $(SYS_RT)

BINS := $(BUILD)/bin/pgregent $(BUILD)/bin/pgregent-agent $(BUILD)/bin/pgregent-deadman $(BUILD)/bin/pgregent-coordinator

.PHONY: all
all: $(BINS)

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

define archive
$(call lib,$(1)): $(call objs,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call archive,$(d))))

program = @mkdir -p $(@D); $(CC) $(LINK) -o $@ $(filter %.o %.a,$^) $(1)
$(BUILD)/bin/pgregent: $(BUILD)/obj/coordinator/cli/main.o $(CLI)
	$(call program,$(SYS_ALL))
$(BUILD)/bin/pgregent-agent: $(BUILD)/obj/site-agent/main.o $(AGENT)
	$(call program,$(SYS_ALL))
$(BUILD)/bin/pgregent-deadman: $(BUILD)/obj/site-agent/deadman/main.o $(DEADMAN)
	$(call program,$(SYS_PG) $(SYS_WIRE) $(SYS_RT))
$(BUILD)/bin/pgregent-coordinator: $(BUILD)/obj/coordinator/main.o $(COORD)
	$(call program,$(SYS_ALL))

# tests/unit/<layer>/test_*.c: one cmocka program each, linked with its layer and those below
unit_layer = $(patsubst %/,%,$(dir $(patsubst $(BUILD)/tests/unit/%,%,$(1))))
UNIT_SRC := $(wildcard tests/unit/*/test_*.c)
UNIT     := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRC))
UNIT_LIBS_rt := $(RT)
UNIT_LIBS_net := $(NET)
UNIT_LIBS_store := $(STORE)
UNIT_LIBS_wire := $(WIRE)
UNIT_LIBS_pg := $(PG)
UNIT_LIBS_deadman := $(DEADMAN)
UNIT_LIBS_agent-decide := $(AGENT_DECIDE)
UNIT_LIBS_coordinator-decide := $(COORD_DECIDE)
UNIT_LIBS_agent := $(AGENT)
UNIT_LIBS_coordinator := $(COORD)
UNIT_LIBS_cli := $(CLI)
.SECONDEXPANSION:
$(UNIT): $(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $$(UNIT_LIBS_$$(call unit_layer,$$@))
	$(call program,-lcmocka $(SYS_ALL))

# small tools that the tests and the demo use (a writing client and the like)
TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tests/tools/%,$(wildcard tests/tools/*.c))
$(TOOLS): $(BUILD)/tests/tools/%: $(BUILD)/obj/tests/tools/%.o
	$(call program,-lpq -lpthread)

# the rules of docs/protocol.md on paper: independent of the product
PAPER := $(BUILD)/tests/paper
$(PAPER): $(wildcard tests/paper/*.c tests/paper/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -g -O2 $(WARN) -o $@ $(filter %.c,$^)

.PHONY: tools unit simulator clean
tools: $(TOOLS)
unit: $(UNIT)
simulator: $(BUILD)/sim/sim $(PAPER)

# ---- what people type ----

.PHONY: help deps demo demo-stop check test test-long install
help:
	@echo 'make            builds the programs into $(BUILD)/bin'
	@echo 'make deps       installs missing Debian packages'
	@echo 'make demo       two sites of two members on this machine, and a switchover under load (DEMO_DIR, DEMO_PORT_BASE)'
	@echo 'make demo-stop  stops the demo; DEMO_WIPE=1 removes its data'
	@echo 'make check      the fast tests'
	@echo 'make test       all tests, with a sample of the long sweeps; make test-long: all of these'
	@echo 'make sim        plays simulated histories: SEEDS=10000, or one with its story: SEED=17'
	@echo 'make unit       builds the unit tests; one runs as $(BUILD)/tests/unit/LAYER/test_NAME'
	@echo 'make install    DESTDIR and PREFIX are honoured'
	@echo 'make clean      variables: CC=clang, SAN=address,undefined (with a BUILD= of its own)'

deps:
	@tests/lab/deps.sh

# in makes of their own: what deps installs is looked for when the Makefile is read
demo:
	@$(MAKE) -s deps
	@$(MAKE) -s all tools
	@BIN=$(BUILD)/bin TOOLS=$(BUILD)/tests/tools tests/lab/demo.sh start
demo-stop:
	@BIN=$(BUILD)/bin tests/lab/demo.sh stop

check:
	@$(MAKE) -s all unit tools simulator
	@BUILD=$(BUILD) tests/run.sh check
test test-long:
	@tests/lab/deps.sh --test
	@$(MAKE) -s all unit tools simulator
	@BUILD=$(BUILD) tests/run.sh $(if $(filter %-long,$@),long,test)

include tests/sim/sim.mk

# Known, and not built yet: they say so and fail.
.PHONY: bench
bench:
	@echo 'make $@: not built yet' >&2; exit 2

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/pgregent/examples
	install -m 755 $(BINS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(wildcard docs/*.md) LICENSE $(DESTDIR)$(PREFIX)/share/doc/pgregent
	install -m 644 $(wildcard examples/*.yaml) $(DESTDIR)$(PREFIX)/share/doc/pgregent/examples

clean:
	rm -rf $(BUILD)/bin $(BUILD)/lib $(BUILD)/obj $(BUILD)/tests $(BUILD)/sim $(BUILD)/sim-coverage

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
