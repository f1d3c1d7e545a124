%% Judges servers as an application on Erlang's ssl would (Postgrex, for example).
main(_) ->
    logger:set_primary_config(level, none),
    {ok, _} = application:ensure_all_started(ssl),
    loop().

loop() ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            [Id, Port, CA, Name] = string:lexemes(string:trim(Line), " "),
            Outcome = try connect(list_to_integer(Port), CA, Name) catch _:Reason -> Reason end,
            case Outcome of
                ok -> io:format("~s\tconnects\t\"\"~n", [Id]);
                Error ->
                    Text = string:slice(lists:flatten(io_lib:format("~0p", [Error])), 0, 600),
                    Escaped = lists:flatmap(fun($") -> "\\\""; ($\\) -> "\\\\"; (C) when C < 32; C > 126 -> " "; (C) -> [C] end, Text),
                    io:format("~s\tfails\t\"~s\"~n", [Id, Escaped])
            end,
            loop()
    end.

startup() -> <<0, 0, 0, 31, 0, 3, 0, 0, "user", 0, "app", 0, "database", 0, "app", 0, 0>>.

connect(Port, CA, Name) ->
    {ok, Plain} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}], 8000),
    case CA of
        "-" ->
            ok = gen_tcp:send(Plain, startup()),
            case gen_tcp:recv(Plain, 1, 8000) of {ok, _} -> ok; Other -> Other end;
        _ -> secured(Plain, CA, Name)
    end.

secured(Plain, CA, Name) ->
    ok = gen_tcp:send(Plain, <<8:32, 80877103:32>>),
    {ok, <<"S">>} = gen_tcp:recv(Plain, 1, 8000),
    Match = public_key:pkix_verify_hostname_match_fun(https),
    Options = [{verify, verify_peer}, {cacertfile, CA}, {server_name_indication, Name},
        {customize_hostname_check, [{match_fun, Match}]}],
    case ssl:connect(Plain, Options, 8000) of
        {ok, Secured} ->
            ok = ssl:send(Secured, startup()),
            Result = ssl:recv(Secured, 1, 8000),
            ssl:close(Secured),
            case Result of {ok, _} -> ok; Other -> Other end;
        Error -> gen_tcp:close(Plain), Error
    end.
