/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room between the priorities of neighbours. Where there is none, rules around the place move: each
 * of them dies and is born again, under another number and with another priority, in the generation
 * of the change that needs the room. Programs see the one or the other, never both, and the order
 * is the same. How many move does not depend on how many rules there are.
 */
#ifndef LOADER_SPD_ROOM_H
#define LOADER_SPD_ROOM_H

#include "loader/spd_edit_inside.h"

/* A priority for a rule that comes before the one numbered `before`, or last (NONE): no other that
 * a program may meet has it. 0: there is none. */
__u32 room_between(const struct spd_editor *e, __u32 before);

/* Moves rules around the place before `before` so far apart that all of `change` find room there;
 * `next` is the generation of the change. 0, or -EAGAIN: it cannot be had for MOVES_MAX moves.
 * room_take_back() is the caller's in both cases, should the change not be. */
int room_make(struct spd_editor *e, const struct spd_edit *change, __u32 before, __u32 next);

/* The number that a rule has now, in this change. */
__u32 room_number(const struct spd_editor *e, __u32 number);

/* Before the change is published: logs what moves, and hands on its counts. A hit that is counted
 * between here and the publication is lost. */
void room_log(struct spd_editor *e, __u32 next);
/* After it: what moved is to be tidied. */
void room_taken(struct spd_editor *e);

/* Nothing has moved. */
void room_take_back(struct spd_editor *e);

#endif
