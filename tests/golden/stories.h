/* Golden stories: text files, each a row of stories, each a head and, behind a line "----", what was decided. A file is
 * played and compared as a whole; REWRITE=1 in the environment rewrites it, and only what is understood gets committed.
 * For the two programs that play decide cores; it is a header because nobody else does. */
#ifndef GOLDEN_STORIES_H
#define GOLDEN_STORIES_H
#include "rt/file.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FIRED_MAX 200
static const char *fired[FIRED_MAX];
static int fired_count;

static bool has_fired(const char *id) {
    for (int i = 0; i < fired_count; i++)
        if (str_eq(fired[i], id))
            return true;
    return false;
}

static void note_fired(const char *id) {
    assert_true(fired_count < FIRED_MAX);
    if (!has_fired(id))
        fired[fired_count++] = id;
}

/* Plays the story whose head is given and writes what was decided, as it shall stand in the file. */
typedef void (*story_player)(const char *place, const char *head, size_t len, struct strbuf *decided);

static void play_stories(const char *path, const char *text, story_player play, struct strbuf *fresh) {
    for (const char *at = text; *at;) {
        const char *split = strstr(at, "\n----\n"), *next = strstr(at, "\n## ");
        if (!split || (next && next < split))
            fail_msg("%s: a story without its ----:\n%.200s", path, at);
        strbuf_add_bytes(fresh, at, (size_t)(split - at) + 6);
        play(path, at, (size_t)(split - at), fresh);
        if (!next)
            return;
        strbuf_add(fresh, "\n");
        at = next + 1;
    }
}

static void check_stories(const char *path, story_player play) {
    STRBUF text = {0};
    STRBUF fresh = {0};
    struct err err = {0};
    if (!file_read(path, 1 << 20, &text, &err))
        fail_msg("%s", err.text);
    play_stories(path, text.at, play, &fresh);
    if (getenv("REWRITE"))
        assert_true(file_write(path, fresh.at, fresh.len, 0644, &err));
    else
        assert_string_equal(text.at, fresh.at);
}

static void check_story_files(const char *directory, story_player play) {
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    int files = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        if (strlen(e->d_name) > 4 && str_eq(e->d_name + strlen(e->d_name) - 4, ".txt"))
            files++, check_stories(path, play);
    }
    closedir(dir);
    assert_true(files > 0);
}

#endif
