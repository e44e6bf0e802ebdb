/* pipeline_draw.c - the graph as Mermaid and as an indented list.
 *
 * Box = container, stadium = importer, subgraph = sub-DAG, diamond = has a condition, double border
 * = repeated for each item, dashed = runs whatever happened before. A sub-DAG with a condition or
 * an iterator gets a node of that shape in front of its subgraph, since a subgraph itself has one
 * shape only.
 *
 * Mermaid refuses more than 50,000 characters or 500 edges. So the graph is tried with sub-DAGs
 * opened 16 deep, then less and less deep, and if even the closed form is too large the rest is
 * left out with a note. Each try stops at the limit, which bounds the work though a sub-DAG that is
 * used twice is drawn twice. Labels are foreign text: every character that could mean something to
 * Mermaid, Markdown or HTML is written as a numeric entity, ids are our own (n1, n2, ...), so "end"
 * or "graph" do no harm. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline_impl.h"

enum {
	MERMAID_MAX = 50000,
	EDGES_MAX = 500,
	LABEL_MAX = 60, /* code points */
	TAIL_MAX = 300, /* bytes kept free for notes */
	LINES_MAX = 1000,
	TEXT_LINE_MAX = 120,
};

enum look {
	LOOK_SUCCEEDED,
	LOOK_FAILED,
	LOOK_RUNNING,
	LOOK_PENDING,
	LOOK_SKIPPED,
	LOOK_ALWAYS,
	LOOK_COUNT
};

static const struct {
	const char *name, *style;
} looks[LOOK_COUNT] = {
	[LOOK_SUCCEEDED] = {"succeeded", "fill:#dafbe1,stroke:#1a7f37,color:#1f2328"},
	[LOOK_FAILED] = {"failed", "fill:#ffebe9,stroke:#cf222e,color:#1f2328"},
	[LOOK_RUNNING] = {"running", "fill:#ddf4ff,stroke:#0969da,color:#1f2328"},
	[LOOK_PENDING] = {"pending", "fill:#fff8c5,stroke:#9a6700,color:#1f2328"},
	[LOOK_SKIPPED] = {"skipped", "fill:#f6f8fa,stroke:#8c959f,color:#57606a"},
	[LOOK_ALWAYS] = {"always", "stroke-dasharray:5 5"},
};

/* States as Kubeflow's task details and Argo's nodes write them. */
static enum look look_of(const char *state)
{
	static const struct {
		const char *state;
		enum look look;
	} states[] = {
		{"SUCCEEDED", LOOK_SUCCEEDED}, {"CACHED", LOOK_SUCCEEDED},
		{"FAILED", LOOK_FAILED},       {"ERROR", LOOK_FAILED},
		{"RUNNING", LOOK_RUNNING},     {"CANCELING", LOOK_RUNNING},
		{"PENDING", LOOK_PENDING},     {"PAUSED", LOOK_PENDING},
		{"SKIPPED", LOOK_SKIPPED},     {"OMITTED", LOOK_SKIPPED},
		{"CANCELED", LOOK_SKIPPED},
	};

	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (str_eq_nocase(state, states[i].state))
			return states[i].look;
	return LOOK_COUNT;
}

static const char *state_of(const json_t *states, const struct pipeline_task *task)
{
	return json_string_value(json_object_get(states, task->name));
}

/* --- foreign text --- */

/* Length of the UTF-8 sequence at `s`; *drop when it is a control, bidi or zero-width character. */
static size_t sequence(const char *text, bool *drop)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	unsigned code = s[0];

	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80) { /* not UTF-8: pass over one byte */
			*drop = true;
			return 1;
		}
	if (len == 2)
		code = (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
	else if (len == 3)
		code = (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
	*drop = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c ||
		(code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
		(code >= 0x2060 && code <= 0x2069) || code == 0xfeff;
	return len;
}

/* One sign that is not a letter or a digit. Mermaid takes "direction LR" for a statement wherever
 * it stands in a line, so there the blank is written as an entity too. */
static void put_sign(struct buf *out, char sign, bool first, bool mermaid)
{
	static const char plain[] = " _.,/()='+*-";
	bool harmless = !first && strchr(plain, sign);

	if (sign == ' ' && str_ends(buf_text(out), "direction"))
		harmless = false;
	if (mermaid && !harmless)
		buf_printf(out, "#%d;", sign);
	else
		buf_putc(out, sign == '`' ? '\'' : sign);
}

/* At most `max` code points of a text. For Mermaid every sign becomes an entity; else only the
 * backtick is changed, so that no fence around the text can be left. */
static void put_foreign(struct buf *out, const char *text, size_t max, bool mermaid)
{
	size_t shown = 0;

	for (; *text && shown < max; shown++) {
		bool drop;
		size_t len = sequence(text, &drop);

		if (*text == '\n' || *text == '\t')
			put_sign(out, ' ', !shown, mermaid);
		else if (!drop && (len > 1 || isalnum((unsigned char)*text)))
			buf_add(out, text, len);
		else if (!drop)
			put_sign(out, *text, !shown, mermaid);
		text += len;
	}
	if (*text)
		buf_puts(out, "...");
}

/* inputs.parameter_values['pipelinechannel--flip-Output'] == 'heads' reads flip-Output == 'heads'.
 */
static char *short_condition(const char *text)
{
	static const char start[] = "inputs.parameter_values['", channel[] = "pipelinechannel--";
	struct buf out = buf_make(strlen(text));

	while (*text) {
		const char *name = text + strlen(start), *end;

		end = str_starts(text, start) ? strstr(name, "']") : NULL;
		if (!end) {
			buf_putc(&out, *text++);
			continue;
		}
		if (str_starts(name, channel))
			name += strlen(channel);
		buf_add(&out, name, (size_t)(end - name));
		text = end + 2;
	}
	return buf_take(&out);
}

static void put_condition(struct buf *out, const char *condition, size_t max, bool mermaid)
{
	AUTO_FREE char *text = short_condition(condition);

	put_foreign(out, text, max, mermaid);
}

static void put_iteration(struct buf *out, const struct pipeline_task *task)
{
	buf_puts(out, "for each item");
	if (task->parallelism > 0)
		buf_printf(out, ", at most %lld at a time", (long long)task->parallelism);
}

/* --- walking --- */

/* One opened DAG: a sub-DAG used twice is there twice. */
struct frame {
	const struct pipeline_dag *dag;
	size_t *order; /* of its tasks */
	size_t next;
	size_t *in, *out; /* node numbers per task: where edges end and start; 0: not drawn */
};

struct drawing {
	struct buf *out;
	const json_t *states;
	size_t limit;	 /* bytes of the whole diagram */
	size_t open_max; /* how deep sub-DAGs are opened */
	bool cut;	 /* leave out what does not fit, instead of giving up */
	bool full;	 /* does not fit */
	size_t nodes, edges, left_out, edges_left_out;
	struct buf members[LOOK_COUNT]; /* ",n1,n7" */
	struct frame frames[PIPELINE_DEPTH_MAX + 1];
	size_t depth;
};

static void frame_open(struct drawing *drawing, const struct pipeline_dag *dag)
{
	struct frame *frame = &drawing->frames[drawing->depth++];

	*frame = (struct frame){
		.dag = dag,
		.order = mem_new(dag->task_count, sizeof(size_t)),
		.in = mem_new(dag->task_count, sizeof(size_t)),
		.out = mem_new(dag->task_count, sizeof(size_t)),
	};
	must(pipeline_dag_order(dag, frame->order));
}

static void frame_close(struct drawing *drawing)
{
	struct frame *frame = &drawing->frames[--drawing->depth];

	mem_free(frame->order);
	mem_free(frame->in);
	mem_free(frame->out);
}

/* --- Mermaid --- */

static size_t used(const struct drawing *drawing)
{
	size_t bytes = drawing->out->len + TAIL_MAX;

	for (int i = 0; i < LOOK_COUNT; i++)
		bytes += drawing->members[i].len;
	return bytes;
}

static void put_indent(struct drawing *drawing)
{
	for (size_t i = 0; i < drawing->depth; i++)
		buf_puts(drawing->out, "  ");
}

static void add_look(struct drawing *drawing, enum look look, size_t node)
{
	if (look < LOOK_COUNT)
		buf_printf(&drawing->members[look], ",n%zu", node);
}

static void put_node(struct drawing *drawing, size_t id, const struct pipeline_task *task,
		     const char *label)
{
	static const char *const plain[] = {"[\"", "\"]"}, *const stadium[] = {"([\"", "\"])"},
				 *const diamond[] = {"{\"", "\"}"},
				 *const twice[] = {"[[\"", "\"]]"};
	const char *const *shape = plain;

	if (task->condition)
		shape = diamond;
	else if (task->iterates)
		shape = twice;
	else if (task->kind == TASK_IMPORTER)
		shape = stadium;
	put_indent(drawing);
	buf_printf(drawing->out, "n%zu%s%s%s\n", id, shape[0], label, shape[1]);
	if (task->trigger_strategy)
		add_look(drawing, LOOK_ALWAYS, id);
}

/* A task as one node; a closed sub-DAG says how much is in it. */
static void put_single(struct drawing *drawing, const struct pipeline_task *task, size_t index)
{
	struct frame *frame = &drawing->frames[drawing->depth - 1];
	const char *state = state_of(drawing->states, task);
	AUTO_BUF struct buf label = buf_make(2000);
	size_t id = ++drawing->nodes;

	put_foreign(&label, task->name, LABEL_MAX, true);
	if (task->kind == TASK_DAG)
		buf_printf(&label, " (%zu task%s)", task->dag->task_count,
			   task->dag->task_count == 1 ? "" : "s");
	if (task->condition) {
		buf_puts(&label, " if ");
		put_condition(&label, task->condition, LABEL_MAX, true);
	}
	if (task->iterates) {
		buf_puts(&label, ", ");
		put_iteration(&label, task);
	}
	put_node(drawing, id, task, buf_text(&label));
	frame->in[index] = frame->out[index] = id;
	if (state)
		add_look(drawing, look_of(state), id);
}

static void put_edge(struct drawing *drawing, size_t from, size_t to, bool dashed)
{
	if (drawing->edges == EDGES_MAX || used(drawing) > drawing->limit) {
		drawing->full = true;
		drawing->edges_left_out++;
		return;
	}
	drawing->edges++;
	put_indent(drawing);
	buf_printf(drawing->out, "n%zu %s n%zu\n", from, dashed ? "-.->" : "-->", to);
}

/* Starts a subgraph, with the node in front of it if it has a condition or repeats. */
static void put_subgraph(struct drawing *drawing, const struct pipeline_task *task, size_t index)
{
	struct frame *frame = &drawing->frames[drawing->depth - 1];
	const char *state = state_of(drawing->states, task);
	size_t head = 0, id;

	if (task->condition || task->iterates) {
		AUTO_BUF struct buf label = buf_make(2000);

		head = ++drawing->nodes;
		if (task->condition)
			put_condition(&label, task->condition, LABEL_MAX, true);
		if (task->condition && task->iterates)
			buf_puts(&label, ", ");
		if (task->iterates)
			put_iteration(&label, task);
		put_node(drawing, head, task, buf_text(&label));
	}
	id = ++drawing->nodes;
	put_indent(drawing);
	buf_printf(drawing->out, "subgraph n%zu[\"", id);
	put_foreign(drawing->out, task->name, LABEL_MAX, true);
	buf_puts(drawing->out, "\"]\n");
	frame->in[index] = head ? head : id;
	frame->out[index] = id;
	if (task->trigger_strategy && !head)
		add_look(drawing, LOOK_ALWAYS, id);
	if (state)
		add_look(drawing, look_of(state), id);
	frame_open(drawing, task->dag);
}

/* Edges of a DAG whose nodes are all there, and of the nodes in front of subgraphs. */
static void put_edges(struct drawing *drawing)
{
	const struct frame *frame = &drawing->frames[drawing->depth - 1];

	for (size_t i = 0; i < frame->dag->task_count; i++) {
		const struct pipeline_task *task = &frame->dag->tasks[i];

		if (!frame->in[i])
			continue;
		for (size_t k = 0; k < task->depends_count; k++) {
			const struct pipeline_task *from =
				pipeline_task_find(frame->dag, task->depends_on[k]);
			size_t id = frame->out[from - frame->dag->tasks];

			if (id)
				put_edge(drawing, id, frame->in[i], task->trigger_strategy);
			if (drawing->full && !drawing->cut)
				return;
		}
		if (frame->in[i] != frame->out[i])
			put_edge(drawing, frame->in[i], frame->out[i], false);
	}
}

/* Draws the next task of the innermost DAG, or ends that DAG. */
static void draw_step(struct drawing *drawing)
{
	struct frame *frame = &drawing->frames[drawing->depth - 1];
	const struct pipeline_task *task;
	size_t index;

	if (frame->next == frame->dag->task_count) {
		put_edges(drawing);
		frame_close(drawing);
		if (drawing->depth) {
			put_indent(drawing);
			buf_puts(drawing->out, "end\n");
		}
		return;
	}
	index = frame->order[frame->next++];
	task = &frame->dag->tasks[index];
	if (used(drawing) > (drawing->cut ? drawing->limit / 2 : drawing->limit)) {
		drawing->full = true;
		drawing->left_out++;
	} else if (task->kind == TASK_DAG && task->dag->task_count &&
		   drawing->depth <= drawing->open_max) {
		put_subgraph(drawing, task, index);
	} else {
		put_single(drawing, task, index);
	}
}

static void put_looks(struct drawing *drawing)
{
	for (int i = 0; i < LOOK_COUNT; i++) {
		const struct buf *members = &drawing->members[i];

		if (members->len)
			buf_printf(drawing->out, "  classDef %s %s\n  class %s %s\n", looks[i].name,
				   looks[i].style, members->data + 1, looks[i].name);
	}
}

static void put_note(struct drawing *drawing)
{
	if (!drawing->left_out && !drawing->edges_left_out)
		return;
	buf_printf(drawing->out,
		   "  note[\"too large to draw; left out: %zu of the tasks, %zu of the arrows\"]\n",
		   drawing->left_out, drawing->edges_left_out);
}

/* One try; false when the graph does not fit with sub-DAGs opened so deep. */
static bool draw(const struct pipeline *pipeline, const json_t *states, struct buf *out,
		 size_t limit, size_t open_max, bool cut)
{
	struct drawing *drawing = mem_new(1, sizeof *drawing);
	bool fits;

	*drawing = (struct drawing){
		.out = out, .states = states, .limit = limit, .open_max = open_max, .cut = cut};
	for (int i = 0; i < LOOK_COUNT; i++)
		drawing->members[i] = buf_make(MERMAID_MAX);
	buf_puts(out, "flowchart TD\n");
	frame_open(drawing, &pipeline->dags[0]);
	while (drawing->depth && (cut || !drawing->full))
		draw_step(drawing);
	while (drawing->depth)
		frame_close(drawing);
	drawing->full = drawing->full || used(drawing) > limit;
	put_note(drawing);
	put_looks(drawing);
	fits = !drawing->full;
	for (int i = 0; i < LOOK_COUNT; i++)
		buf_dispose(&drawing->members[i]);
	mem_free(drawing);
	return fits;
}

void pipeline_draw_mermaid(const struct pipeline *pipeline, const json_t *states, struct buf *out)
{
	AUTO_BUF struct buf text = buf_make(2 * MERMAID_MAX);
	size_t room = out->max - out->len, styles = 0, limit;
	bool fits = false;

	for (int i = 0; i < LOOK_COUNT; i++)
		styles += strlen("  classDef  \n  class  \n") + 2 * strlen(looks[i].name) +
			  strlen(looks[i].style);
	limit = room < MERMAID_MAX ? room : MERMAID_MAX;
	limit = limit > styles ? limit - styles : 0;
	for (size_t open = PIPELINE_DEPTH_MAX + 1; open-- && !fits;) {
		buf_clear(&text);
		fits = draw(pipeline, states, &text, limit, open, false);
	}
	if (!fits) {
		buf_clear(&text);
		(void)draw(pipeline, states, &text, limit, 0, true);
	}
	if (text.len <= room)
		buf_add(out, text.data, text.len);
}

/* --- the list --- */

static void put_attributes(struct buf *out, const struct pipeline_task *task)
{
	const char *between = " (";

	if (task->kind == TASK_IMPORTER) {
		buf_printf(out, "%simporter", between);
		between = "; ";
	}
	if (task->condition) {
		buf_printf(out, "%sif ", between);
		put_condition(out, task->condition, TEXT_LINE_MAX, false);
		between = "; ";
	}
	if (task->iterates) {
		buf_puts(out, between);
		put_iteration(out, task);
		between = "; ";
	}
	if (task->trigger_strategy) {
		buf_printf(out, "%sruns whatever happened before", between);
		between = "; ";
	}
	if (task->depends_count) {
		buf_printf(out, "%safter ", between);
		between = "; ";
	}
	for (size_t i = 0; i < task->depends_count && i < 10; i++) {
		buf_puts(out, i ? ", " : "");
		put_foreign(out, task->depends_on[i], LABEL_MAX, false);
	}
	if (task->depends_count > 10)
		buf_printf(out, " and %zu more", task->depends_count - 10);
	if (str_eq(between, "; "))
		buf_putc(out, ')');
}

static void put_line(struct drawing *drawing, const struct pipeline_task *task)
{
	const char *state = state_of(drawing->states, task);

	for (size_t i = 1; i < drawing->depth; i++)
		buf_puts(drawing->out, "  ");
	buf_puts(drawing->out, "- ");
	put_foreign(drawing->out, task->name, TEXT_LINE_MAX, false);
	if (state) {
		buf_puts(drawing->out, ": ");
		put_foreign(drawing->out, state, LABEL_MAX, false);
	}
	put_attributes(drawing->out, task);
	buf_putc(drawing->out, '\n');
}

void pipeline_draw_text(const struct pipeline *pipeline, const json_t *states, struct buf *out)
{
	struct drawing *drawing = mem_new(1, sizeof *drawing);

	drawing->out = out;
	drawing->states = states;
	frame_open(drawing, &pipeline->dags[0]);
	while (drawing->depth) {
		struct frame *frame = &drawing->frames[drawing->depth - 1];
		const struct pipeline_task *task;

		if (frame->next == frame->dag->task_count) {
			frame_close(drawing);
			continue;
		}
		if (drawing->nodes++ == LINES_MAX) {
			buf_puts(out, "... the rest is left out\n");
			break;
		}
		task = &frame->dag->tasks[frame->order[frame->next++]];
		put_line(drawing, task);
		if (task->kind == TASK_DAG && drawing->depth <= PIPELINE_DEPTH_MAX)
			frame_open(drawing, task->dag);
	}
	while (drawing->depth)
		frame_close(drawing);
	mem_free(drawing);
}
