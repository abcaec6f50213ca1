# The simulator: production sources compiled once more, with the simulated lowest layers linked in their place.
# What is replaced as a whole is left out here; single functions are replaced by the linker's --wrap.

SIM_BUILD := $(BUILD)/sim
SIM_RT    := alloc err clock_text field_codec field_problem field_read field_scalar field_write json node str str_encode strbuf utf8 yaml yaml_bytes
SIM_AGENT := act act_job act_server life lineage observe publish records reporting server slots state swap tick topology_hold upstream vouching
SIM_WIRE  := $(filter-out envelope sign,$(basename $(notdir $(wildcard proto/wire/*.c))))
SIM_COORD := $(filter-out main config notify,$(basename $(notdir $(wildcard coordinator/*.c))))
SIM_PRODUCT := $(SIM_RT:%=proto/rt/%.c) $(SIM_WIRE:%=proto/wire/%.c) proto/store/store.c site-agent/pg/pg_config.c \
               $(wildcard site-agent/decide/*.c) $(SIM_AGENT:%=site-agent/%.c) $(wildcard coordinator/decide/*.c) $(SIM_COORD:%=coordinator/%.c)
SIM_SRC  := $(SIM_PRODUCT) $(wildcard tests/sim/*.c)
SIM_OBJS := $(SIM_SRC:%.c=$(SIM_BUILD)/obj/%.o)
SIM_WRAP := field_from_json field_to_text documents_refresh
SIM_CFLAGS = -std=gnu17 -g -O2 $(WARN) -fno-strict-aliasing -fno-pie -ftrivial-auto-var-init=zero $(SIM_EXTRA) $(PQ_INC) -D_GNU_SOURCE \
             -DPGREGENT_VERSION='"$(VERSION)"' -DLARGE_LOCAL= -DPROOF_TEXT_MAX=256 -I. -Iproto -MMD -MP

$(SIM_BUILD)/obj/%.o: %.c Makefile tests/sim/sim.mk
	@mkdir -p $(@D)
	$(CC) $(SIM_CFLAGS) -c $< -o $@
# The product's few direct calls of the system; only the simulator itself may make them.
SIM_SYSTEM := exit kill open close readlink realpath
$(SIM_PRODUCT:%.c=$(SIM_BUILD)/obj/%.o): SIM_CFLAGS += $(foreach f,$(SIM_SYSTEM),-D$(f)=simulated_$(f))
$(SIM_BUILD)/sim: $(SIM_OBJS)
	@mkdir -p $(@D)
	$(CC) -no-pie -o $@ $(SIM_OBJS) $(SIM_WRAP:%=-Wl,--wrap=%) $(SIM_LINK) -ljansson -lyaml -lm

-include $(wildcard $(SIM_BUILD)/obj/*/*.d $(SIM_BUILD)/obj/*/*/*.d)
