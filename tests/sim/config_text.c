/* The server's configuration in few lines, in the place of its full rendering (site-agent/pg/pg_config.c), which an agent does in
 * each tick to see whether anything differs and which would be most of what a history costs. All that changes in the
 * simulated world stands in it. */
#include "site-agent/pg/pg_config.h"

void __wrap_pg_config_postgresql(const struct pg_config_input *in, struct strbuf *to);
void __wrap_pg_config_hba(const struct pg_config_input *in, struct strbuf *to);

static void put(struct strbuf *to, const char *name, const char *value) {
    strbuf_add(to, name);
    strbuf_add(to, value);
    strbuf_add(to, "'\n");
}

void __wrap_pg_config_postgresql(const struct pg_config_input *in, struct strbuf *to) {
    put(to, "data_directory = '", in->data_dir);
    put(to, "listen_addresses = '", in->host);
    put(to, "primary_conninfo = '", in->primary_conninfo);
    put(to, "primary_slot_name = '", in->primary_slot_name);
    put(to, "restore_command = '", in->ready_for_promotion ? "" : in->restore_command);
    for (uint32_t i = 0; i < in->parameter_count; i++)
        put(to, in->parameters[i].name, in->parameters[i].value);
    put(to, "max_standby_streaming_delay = '", in->ready_for_promotion ? "0" : "30s");
}

void __wrap_pg_config_hba(const struct pg_config_input *in, struct strbuf *to) { put(to, "cluster = '", in->cluster); }
