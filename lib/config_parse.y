%{
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of swanctl.conf: sections, `key = value` lines and includes. After an error it goes
 * on with the next line, so that one run finds all. Messages never print what was read: a line that
 * lost its `=` may hold a key.
 */
#include <stdlib.h>
#include "lib/config_tree.h"
#include "lib/config_parse.h"

#define YYLLOC_DEFAULT(cur, rhs, n) ((cur) = (n) ? YYRHSLOC(rhs, 1) : YYRHSLOC(rhs, 0))
%}

%define api.pure full
%define api.prefix {config_yy}
%define api.location.type {struct config_place}
%define parse.error custom
/* so that messages name all that was expected */
%define lr.default-reduction consistent
%locations
%param {void *scanner}
%parse-param {struct config_parse *parse}
%initial-action { @$ = (struct config_place){parse->file, 1, 1}; }

%code requires {
#include "lib/config_tree.h"
}

%code provides {
/* the names that flex uses */
#define YYSTYPE CONFIG_YYSTYPE
#define YYLTYPE CONFIG_YYLTYPE
}

%union {
	char *text;
	struct config_list list;
}

%code {
int config_yylex(CONFIG_YYSTYPE *value, CONFIG_YYLTYPE *place, void *scanner);
static void config_yyerror(CONFIG_YYLTYPE *place, void *scanner, struct config_parse *parse,
			   const char *text);

/* One node as a list; NULL, no memory, ends the parse. */
static struct config_list one(struct config_parse *parse, struct config_node *node)
{
	if (!node)
		parse->diag->nomem = true;
	return (struct config_list){node, node};
}
}

%token END 0 "end of file"
%token NEWLINE "end of line"
%token INCLUDE "`include`"
%token JUNK "a byte that has no place here"
%token TOO_DEEP "one `{` too deep"
%token UNCLOSED "a quote that is never closed"
%token <text> NAME "a name"
%token <text> WORD "a value"
%token '{' "`{`"
%token '}' "`}`"
%token '=' "`=`"
%token ':' "`:`"
%token ',' "`,`"
%type <text> value words
%type <list> statements statement section
%type <text> refs ref_list

%destructor { config_text_free($$); } <text>
%destructor { config_list_free(&$$); } <list>

%%

file:
	statements			{ config_list_append(&parse->list, $1); }
|	file stray statements		{ config_list_append(&parse->list, $3); }
;

stray:
	'}'	{ config_error(parse->diag, &@1, "unexpected `}`: no section is open here"); }
;

statements:
	%empty				{ $$ = (struct config_list){0}; }
|	statements statement		{ $$ = $1; config_list_append(&$$, $2); }
;

statement:
	NEWLINE				{ $$ = (struct config_list){0}; }
|	NAME '=' value {
		struct config_node *node = config_node_new(CONFIG_VALUE, $1, $3, &@1);

		if (node)
			node->value_place = @3;
		$$ = one(parse, node);
		if (!node)
			YYABORT;
	}
|	NAME refs newlines section {
		struct config_node *node = config_node_new(CONFIG_SECTION, $1, NULL, &@1);

		if (node) {
			node->refers = $2;
			node->first = $4.first;
		} else {
			config_list_free(&$4);
		}
		config_text_free($2);
		$$ = one(parse, node);
		if (!node)
			YYABORT;
	}
|	INCLUDE words {
		$$ = (struct config_list){0};
		config_include(parse, &@2, $2, &$$);
		config_text_free($2);
	}
|	error NEWLINE {
		$$ = one(parse, config_node_new(CONFIG_DAMAGE, NULL, NULL, &@1));
		if (!$$.first)
			YYABORT;
		yyerrok;
	}
|	error section {
		config_list_free(&$2);
		$$ = one(parse, config_node_new(CONFIG_DAMAGE, NULL, NULL, &@1));
		if (!$$.first)
			YYABORT;
		yyerrok;
	}
;

section:
	'{' statements '}'		{ $$ = $2; }
|	'{' statements error '}' {
		struct config_list damage =
			one(parse, config_node_new(CONFIG_DAMAGE, NULL, NULL, &@3));

		$$ = $2;
		config_list_append(&$$, damage);
		yyerrok;
	}
;

newlines: %empty | newlines NEWLINE;

refs:
	%empty				{ $$ = NULL; }
|	':' ref_list			{ $$ = $2; }
;

ref_list:
	NAME
|	ref_list ',' NAME		{ $$ = $1; config_text_free($3); }
;

value:
	%empty {
		$$ = config_text("", 0);
		if (!$$) {
			parse->diag->nomem = true;
			YYABORT;
		}
	}
|	words
;

words:
	WORD
|	words WORD {
		$$ = config_text_join($1, $2);
		if (!$$) {
			parse->diag->nomem = true;
			YYABORT;
		}
	}
;

%%

#define EXPECTED_MAX 6

static int yyreport_syntax_error(const yypcontext_t *context, void *scanner,
				 struct config_parse *parse)
{
	yysymbol_kind_t token = yypcontext_token(context), expected[YYNTOKENS];
	int n = yypcontext_expected_tokens(context, expected, EXPECTED_MAX);
	char list[256] = "";
	size_t len = 0;

	if (parse->diag->nomem)
		return 0;
	for (int i = 0; i < n && len < sizeof(list); i++)
		len += snprintf(list + len, sizeof(list) - len, "%s%s", i ? " or " : "",
				yysymbol_name(expected[i]));
	config_error(parse->diag, yypcontext_location(context), "unexpected %s: expected %s",
		     yysymbol_name(token), n > 0 ? list : "`name = value` or `name {`");
	return 0;
}

static void config_yyerror(CONFIG_YYLTYPE *place, void *scanner, struct config_parse *parse,
			   const char *text)
{
	config_error(parse->diag, place, "%s: expected a simpler file", text);
}
