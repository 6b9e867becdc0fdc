# layers.awk - does each file include only what it may?  Give it all .c and .h
# files, relative to the top: it names the file and line of each include that goes
# up, or to a file that it does not know.
#
#   plugin.c config.c > lua/ > fault/ > disk/ > report/ > request > store > lib/
#   torture/ > control/ > lib/

BEGIN {
    n = split("plugin config:lua:fault:disk:report:request:store:lib", rows, ":")
    for (i = 1; i <= n; i++) {
        split(rows[i], names, " ")
        for (k in names)
            level[names[k]] = i
    }
}

# layer_of(PATH): its folder, or the name of a file in the top folder.
function layer_of(path) {
    sub(/^\.\//, "", path)
    sub(path ~ /\// ? "/.*" : "\\.[ch]$", "", path)
    return path
}

# The doors, plugin and config, may include all; control only lib, and torture both.
function may(from, to) {
    if (from == to)
        return 1
    if (from == "torture" && to == "control")
        return 1
    if (from == "control" || from == "torture")
        return to == "lib"
    if (to == "control")
        return level[from] == 1
    return level[from] && level[to] && level[from] <= level[to]
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    if (!may(layer_of(FILENAME), layer_of(quoted[2]))) {
        printf "%s:%d: %s must not include %s\n", FILENAME, FNR, layer_of(FILENAME), quoted[2]
        failed = 1
    }
}

END { exit failed }
