/* rt/file.h in memory. Each durable effect lies between two points at which the process may be struck, and may take as long as
 * the disk is slow; it happens at one moment in between, so that a crash finds the old file or the new one. */
#include "rt/file.h"
#include "tests/sim/files.h"
#include "tests/sim/postgres.h"
#include "tests/sim/sim_inner.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
    char *path;
    uint64_t hash; /* of the path */
    char *data;
    size_t len;
    bool directory;
};
struct lock {
    char *path;
    const struct process *holder;
    int fd;
};
#define FILES_MAX 64
#define LOCKS_MAX 8
struct files {
    struct file at[FILES_MAX];
    int count;
    struct lock locks[LOCKS_MAX];
    int lock_count;
};
#define FIRST_LOCK_FD 5000 /* descriptors are told apart by their number */
static int next_lock_fd = FIRST_LOCK_FD;

static struct files *files_of(struct host *h) {
    if (!h->files)
        h->files = rt_alloc(sizeof *h->files);
    return h->files;
}

/* ---- the table ---- */

static struct file *find(const struct host *h, const char *path) {
    uint64_t hash = sim_hash_text(path);
    for (int i = 0; h->files && i < h->files->count; i++)
        if (h->files->at[i].hash == hash && str_eq(h->files->at[i].path, path))
            return &h->files->at[i];
    return NULL;
}

static bool is_below(const char *path, const char *directory) {
    size_t len = strlen(directory);
    return strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == 0);
}

static struct file *find_or_add(struct host *h, const char *path) {
    struct file *file = find(h, path);
    struct files *files = files_of(h);
    if (file)
        return file;
    if (files->count == FILES_MAX)
        abort();
    file = &files->at[files->count++];
    *file = (struct file){.path = rt_strdup(path), .hash = sim_hash_text(path)};
    return file;
}

bool files_exist(const struct host *h, const char *path) {
    for (int i = 0; h->files && i < h->files->count; i++)
        if (is_below(h->files->at[i].path, path))
            return true;
    return false;
}

void files_put(struct host *h, const char *path, const void *data, size_t len) {
    struct file *file = find_or_add(h, path);
    char *copy = rt_alloc(len + 1);
    if (len)
        memcpy(copy, data, len);
    rt_free(file->data);
    file->data = copy;
    file->len = len;
}

void files_remove_tree(struct host *h, const char *path) {
    struct files *files = files_of(h);
    int kept = 0;
    for (int i = 0; i < files->count; i++)
        if (!is_below(files->at[i].path, path))
            files->at[kept++] = files->at[i];
    files->count = kept;
}

void files_wipe(struct host *h) { files_of(h)->count = 0; }

static void move_tree(struct host *h, const char *from, const char *to) {
    struct files *files = files_of(h);
    files_remove_tree(h, to);
    for (int i = 0; i < files->count; i++) {
        struct file *file = &files->at[i];
        if (!is_below(file->path, from))
            continue;
        STRBUF path = {0};
        strbuf_addf(&path, "%s%s", to, file->path + strlen(from));
        file->path = rt_strdup(path.at);
        file->hash = sim_hash_text(path.at);
    }
}

/* ---- the data directory ---- */

/* The host's PostgreSQL when path is its data directory or lies in it; *inside is the rest, "" for itself. */
static struct postgres *data_directory(const struct host *h, const char *path, const char **inside) {
    static const char root[] = "/data/";
    size_t len = strlen(h->name);
    if (!h->postgres || strncmp(path, root, sizeof root - 1) != 0 || strncmp(path + sizeof root - 1, h->name, len) != 0)
        return NULL;
    const char *rest = path + sizeof root - 1 + len;
    if (*rest && *rest != '/')
        return NULL;
    *inside = *rest ? rest + 1 : rest;
    return h->postgres;
}

static bool *signal_file(struct postgres *pg, const char *inside) {
    return str_eq(inside, "standby.signal") ? &pg->standby_signal : str_eq(inside, "recovery.signal") ? &pg->recovery_signal : NULL;
}

static bool is_there_in_data(struct postgres *pg, const char *inside) {
    const bool *signal = signal_file(pg, inside);
    if (pg->directory == DIRECTORY_ABSENT)
        return false;
    if (str_eq(inside, "postmaster.pid"))
        return pg->postmaster_pid != 0;
    return signal ? *signal : *inside == 0;
}

/* ---- faults of the disk ---- */

static void half_a_write(const struct host *h) {
    if (h->disk_slow && process_self())
        process_block(dice_between(process_dice(process_self()), 0, h->disk_slow / 2));
}

static bool has_room(const struct host *h, const char *path, struct err *err) {
    return !h->disk_full || err_sys(err, ENOSPC, "%s: write", path);
}

/* ---- rt/file.h ---- */

bool file_read(const char *path, size_t limit, struct strbuf *to, struct err *err) {
    const char *inside;
    const struct host *h = host_self();
    struct postgres *pg = data_directory(h, path, &inside);
    strbuf_add_bytes(to, "", 0);
    if (pg && is_there_in_data(pg, inside)) {
        if (str_eq(inside, "postmaster.pid"))
            strbuf_addf(to, "%lld\n", (long long)pg->postmaster_pid);
        return true;
    }
    const struct file *file = pg ? NULL : find(h, path);
    if (!file || file->directory)
        return err_set(err, ERR_NOT_FOUND, "%s: no such file", path);
    if (file->len > limit)
        return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, limit);
    strbuf_add_bytes(to, file->data, file->len);
    return true;
}

static bool put_in_data(struct postgres *pg, const char *path, const char *inside, struct err *err) {
    bool *signal = signal_file(pg, inside);
    if (pg->directory == DIRECTORY_ABSENT)
        return err_sys(err, ENOENT, "%s: make a temporary file beside it", path);
    if (!signal)
        return err_set(err, ERR_INTERNAL, "%s: the simulator knows no such file", path);
    *signal = true;
    return true;
}

bool file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err) {
    const char *inside;
    struct host *h = host_self();
    (void)mode;
    process_point("before a file is written");
    half_a_write(h);
    if (!has_room(h, path, err))
        return false;
    struct postgres *pg = data_directory(h, path, &inside);
    bool fine = pg ? put_in_data(pg, path, inside, err) : true;
    if (!pg)
        files_put(h, path, data, len);
    half_a_write(h);
    process_point("after a file was written");
    return fine;
}

bool file_write_as(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct err *err) {
    (void)uid;
    (void)gid;
    return file_write(path, data, len, mode, err);
}

bool file_exists(const char *path) {
    const char *inside;
    const struct host *h = host_self();
    struct postgres *pg = data_directory(h, path, &inside);
    return pg ? is_there_in_data(pg, inside) : files_exist(h, path);
}

bool file_mkdirs(const char *path, mode_t mode, struct err *err) {
    struct host *h = host_self();
    (void)mode;
    if (find(h, path))
        return true;
    process_point("before a directory is made");
    half_a_write(h);
    if (!has_room(h, path, err))
        return false;
    find_or_add(h, path)->directory = true;
    process_point("after a directory was made");
    return true;
}

bool file_mkdirs_as(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err) {
    (void)uid;
    (void)gid;
    return file_mkdirs(path, mode, err);
}

bool file_dir_is_empty(const char *path) {
    const char *inside;
    const struct host *h = host_self();
    struct postgres *pg = data_directory(h, path, &inside);
    return pg ? pg->directory == DIRECTORY_ABSENT : !files_exist(h, path);
}

/* What initdb has made takes the place of the data directory. */
static bool adopt(struct host *h, struct postgres *pg, const char *from, struct err *err) {
    STRBUF path = {0};
    strbuf_addf(&path, "%s/%s", from, FILES_SYSTEM_ID);
    const struct file *made = find(h, path.at);
    uint64_t system_id = 0;
    if (pg->directory != DIRECTORY_ABSENT)
        return err_sys(err, ENOTEMPTY, "%s: rename to the data directory", from);
    if (!made || made->len != sizeof system_id)
        return err_set(err, ERR_INTERNAL, "%s: the simulator knows no such directory", from);
    memcpy(&system_id, made->data, sizeof system_id);
    postgres_initdb(pg, system_id);
    files_remove_tree(h, from);
    return true;
}

bool file_rename(const char *from, const char *to, struct err *err) {
    const char *inside;
    struct host *h = host_self();
    process_point("before a rename");
    half_a_write(h);
    struct postgres *pg = data_directory(h, to, &inside);
    if (!files_exist(h, from))
        return err_sys(err, ENOENT, "%s: rename to %s", from, to);
    if (pg && !adopt(h, pg, from, err))
        return false;
    if (!pg)
        move_tree(h, from, to);
    half_a_write(h);
    process_point("after a rename");
    return true;
}

/* ---- locks ---- */

static bool take_lock(struct files *files, const char *path, int *fd) {
    if (files->lock_count == LOCKS_MAX)
        abort();
    *fd = next_lock_fd++;
    files->locks[files->lock_count++] = (struct lock){.path = rt_strdup(path), .holder = process_self(), .fd = *fd};
    return true;
}

bool file_lock(const char *path, int *fd, struct err *err) {
    struct host *h = host_self();
    struct files *files = files_of(h);
    for (int i = 0; i < files->lock_count; i++)
        if (str_eq(files->locks[i].path, path))
            return err_set(err, ERR_CONFLICT, "%s: locked by process %lld", path, (long long)files->locks[i].holder->pid);
    return has_room(h, path, err) && take_lock(files, path, fd);
}

static void drop_lock(struct files *files, int i) { files->locks[i] = files->locks[--files->lock_count]; }

void files_process_ended(struct process *p) {
    struct files *files = files_of(p->host);
    for (int i = files->lock_count - 1; i >= 0; i--)
        if (files->locks[i].holder == p)
            drop_lock(files, i);
}

void file_close_cleanup(int *fd) {
    struct files *files = *fd >= FIRST_LOCK_FD ? files_of(host_self()) : NULL;
    for (int i = files ? files->lock_count - 1 : -1; i >= 0; i--)
        if (files->locks[i].fd == *fd)
            drop_lock(files, i);
    *fd = -1;
}
