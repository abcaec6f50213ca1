# The simulator: production sources compiled once more, with the simulated lowest layers linked in their place.
# What is replaced as a whole is left out here; single functions are replaced by the linker's --wrap.

SIM_BUILD := $(BUILD)/sim
SIM_RT    := alloc err clock_text field_codec field_problem field_read field_reference field_scalar field_write json node str str_encode strbuf utf8 yaml yaml_bytes
SIM_AGENT := act act_job act_server life lineage observe publish records reporting server slots state swap tick topology_hold upstream vouching
SIM_PG    := pg_attach pg_config pg_config_files pg_query
SIM_WIRE  := $(filter-out envelope sign,$(basename $(notdir $(wildcard proto/wire/*.c))))
SIM_COORD := $(filter-out main config,$(basename $(notdir $(wildcard coordinator/*.c))))
SIM_PRODUCT := $(SIM_RT:%=proto/rt/%.c) $(SIM_WIRE:%=proto/wire/%.c) proto/store/store.c $(SIM_PG:%=site-agent/pg/%.c) \
               $(wildcard site-agent/decide/*.c) $(SIM_AGENT:%=site-agent/%.c) $(wildcard coordinator/decide/*.c) $(SIM_COORD:%=coordinator/%.c)
SIM_SRC  := $(SIM_PRODUCT) $(wildcard tests/sim/*.c)
SIM_OBJS := $(SIM_SRC:%.c=$(SIM_BUILD)/obj/%.o)
SIM_WRAP := pg_config_write pg_config_postgresql pg_config_hba field_from_json field_to_text topology_parse documents_refresh decide coordinator_decide
# locals begin as zero, so that nothing depends on what lay on the stack before (clang 14 wants to be asked twice)
SIM_ZERO := $(if $(findstring clang,$(CC)),-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang) -ftrivial-auto-var-init=zero
SIM_CFLAGS = -std=gnu17 -g -O2 $(WARN) -fno-strict-aliasing -fno-pie $(SIM_ZERO) $(SIM_EXTRA) $(PQ_INC) -D_GNU_SOURCE \
             -DPGREGENT_VERSION='"$(VERSION)"' -DLARGE_LOCAL= -DPROOF_TEXT_MAX=256 -DMEMBERS_MAX=4 -DSITES_MAX=4 -I. -Iproto -MMD -MP

$(SIM_BUILD)/obj/%.o: %.c Makefile tests/sim/sim.mk
	@mkdir -p $(@D)
	$(CC) $(SIM_CFLAGS) -c $< -o $@
# The product's few direct calls of the system; only the simulator itself may make them.
SIM_SYSTEM := exit kill open close readlink realpath
SIM_OWN_SYSTEM := $(foreach f,$(SIM_SYSTEM),-D$(f)=simulated_$(f))
$(SIM_PRODUCT:%.c=$(SIM_BUILD)/obj/%.o): SIM_CFLAGS += $(SIM_OWN_SYSTEM)
sim_link = $(CC) -no-pie -o $@ $(1) $(SIM_WRAP:%=-Wl,--wrap=%) $(SIM_LINK) -ljansson -lyaml -lm
$(SIM_BUILD)/sim: $(SIM_OBJS)
	@mkdir -p $(@D)
	$(call sim_link,$(SIM_OBJS))

# A mutant (mutate.py): the same program with a mistake in it. MUTANT is its directory, where the changed files lie under
# their own names, MUTANT_OBJS are the objects that these change.
ifneq ($(MUTANT),)
$(MUTANT)/obj/%.o: SIM_CFLAGS := -I$(MUTANT) $(SIM_CFLAGS) $(SIM_OWN_SYSTEM)
$(MUTANT)/obj/%.o:
	@mkdir -p $(@D)
	$(CC) $(SIM_CFLAGS) -c $(firstword $(wildcard $(MUTANT)/$*.c) $*.c) -o $@
$(MUTANT)/sim: $(MUTANT_OBJS:%=$(MUTANT)/obj/%.o)
	$(call sim_link,$(filter-out $(MUTANT_OBJS:%=$(SIM_BUILD)/obj/%.o),$(SIM_OBJS)) $^)
endif

# ---- what people type ----
.PHONY: sim sim-coverage sim-mutants sim-stories
SEEDS ?= 1000
sim: $(SIM_BUILD)/sim
	@$(SIM_BUILD)/sim $(if $(SEED),--seed $(SEED) --story,--seeds $(SEEDS) $(if $(FROM),--from $(FROM)))
sim-stories: $(SIM_BUILD)/sim
	@$(SIM_BUILD)/sim --stories tests/sim/stories
sim-mutants: $(SIM_BUILD)/sim
	@BUILD=$(BUILD) CC=$(CC) tests/sim/mutate.py $(MUTATE)

# Which lines and branches of the deciding files the histories reach. In a build of its own.
SIM_DECIDING := $(wildcard site-agent/decide/*.c coordinator/decide/*.c) proto/wire/lease.c proto/wire/order_judge.c proto/wire/order_closure.c proto/wire/vote.c
sim-coverage:
	@$(MAKE) -s SIM_BUILD=$(BUILD)/sim-coverage SIM_LINK='--coverage -Wl,-u,__gcov_dump' SIM_COVERED='$(SIM_DECIDING)' $(BUILD)/sim-coverage/sim
	@tests/sim/coverage.sh $(BUILD)/sim-coverage $(SEEDS) $(SIM_DECIDING)
$(SIM_COVERED:%.c=$(SIM_BUILD)/obj/%.o): SIM_CFLAGS += --coverage -O0

-include $(wildcard $(SIM_BUILD)/obj/*/*.d $(SIM_BUILD)/obj/*/*/*.d)
