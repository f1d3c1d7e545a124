# The checks of the driver matrix with DBD::Pg.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types :async);
use Encode qw(decode_utf8);
use JSON::PP;
use Time::HiRes qw(sleep time);

$| = 1;
my $text  = "Grüße, 世界, \x{1F418}, e\x{301}";
my $large = '0123456789abcdef' x ( 8 << 16 );

sub env { decode_utf8( $ENV{"DRIVER_$_[0]"} ) }

sub report { print JSON::PP->new->utf8->canonical->encode( {@_} ), "\n" }

sub connect_as {
    my ( $prefix, %o ) = ( @_ ? @_ : '' );
    my $tls = env('CA_FILE') ? 'sslmode=verify-full;sslrootcert=' . env('CA_FILE') : 'sslmode=disable';
    my $dsn = sprintf 'dbi:Pg:host=%s;port=%s;dbname=%s;connect_timeout=30;%s', env('HOST'), env('PORT'),
        env("${prefix}DATABASE"), $tls;
    my $password = exists $o{password} ? $o{password} : env("${prefix}PASSWORD");
    return DBI->connect( $dsn, env("${prefix}USER"), $password,
        { RaiseError => 1, PrintError => 0, PrintWarn => 1, AutoCommit => 1 } );
}

sub equal {
    my ( $got, $want ) = map { defined ? $_ : 'undef' } @_;
    die sprintf( "got %.100s, want %.100s\n", $got, $want ) if $got ne $want;
    return;
}

# check runs a check; a text that it returns is a note.
sub check {
    my ( $name, $do ) = @_;
    my $note = eval { $do->() || '' };
    if ( defined $note ) {
        report( check => $name, ok => JSON::PP::true, note => $note );
    }
    elsif ( $@ =~ /^limit: (.*)/ ) {
        report( check => $name, ok => undef, note => $1 );
    }
    else {
        report( check => $name, ok => JSON::PP::false, note => "$@" );
    }
    return;
}

sub login {
    my $db = connect_as();
    equal( $db->selectrow_array('SELECT current_user'), env('USER') );
    $db->disconnect;
    return;
}


report( version => "DBD::Pg $DBD::Pg::VERSION" );

check( 'login', \&login );

check(
    'wrong password',
    sub {
        eval { connect_as( '', password => 'not-the-one' ); 1 } and die "a wrong password was accepted\n";
        index( $@, env('REFUSAL') ) >= 0 or die "not the server's words: $@";
        return;
    }
);

check(
    'parameters',
    sub {
        my $bytes = "\0\1\x80\xff'";
        my $query = connect_as()->prepare('SELECT ?::bigint, ?::float8, ?::bool, ?::bytea, ?::text[], ?::text');
        $query->bind_param( 1, -4611686018427387904, { pg_type => PG_INT8 } );
        $query->bind_param( 2, 0.1,                  { pg_type => PG_FLOAT8 } );
        $query->bind_param( 3, 't',                  { pg_type => PG_BOOL } );
        $query->bind_param( 4, $bytes,               { pg_type => PG_BYTEA } );
        $query->bind_param( 5, [ 'a', 'b,c' ] );
        $query->bind_param( 6, undef );
        $query->execute;
        my @row = $query->fetchrow_array;
        equal( $row[0],                -4611686018427387904 );
        equal( $row[1],                0.1 );
        equal( $row[2],                1 );
        equal( $row[3],                $bytes );
        equal( join( '|', @{ $row[4] } ), 'a|b,c' );
        equal( $row[5],                undef );
        return;
    }
);

check(
    'prepared',
    sub {
        my $query = connect_as()->prepare( 'SELECT ?::int * 2', { pg_prepare_now => 1 } );
        for my $i ( 0 .. 4 ) {
            $query->execute($i);
            equal( $query->fetchrow_array, 2 * $i );
        }
        return;
    }
);

check( 'pipeline', sub { die "limit: DBD::Pg has no pipeline; its execute_array runs one statement after the other\n" } );

check(
    'copy',
    sub {
        my $db = connect_as();
        $db->do('CREATE TEMP TABLE copied (n int, t text)');
        $db->do('COPY copied FROM STDIN');
        $db->pg_putcopydata("$_\trow $_\n") for 1 .. 1000;
        $db->pg_putcopyend;
        $db->do('COPY copied TO STDOUT');
        my ( $rows, $line ) = ( 0, '' );
        $rows++ while $db->pg_getcopydata($line) >= 0;
        equal( $rows, 1000 );
        return;
    }
);

check(
    'notice',
    sub {
        my $heard = '';
        local $SIG{__WARN__} = sub { $heard .= $_[0] };
        connect_as()->do(q{DO $$ BEGIN RAISE NOTICE 'look here'; END $$});
        $heard =~ /look here/ or die "heard '$heard'\n";
        return;
    }
);

check(
    'notify',
    sub {
        my ( $db, $channel ) = ( connect_as(), "driver_$$" );
        $db->do("LISTEN $channel");
        connect_as()->do( 'SELECT pg_notify(?, ?)', undef, $channel, 'hello' );
        my $deadline = time + 30;
        while ( time < $deadline ) {
            if ( my $heard = $db->pg_notifies ) { return equal( $heard->[2], 'hello' ) }
            sleep 0.01;
        }
        die "no notification within 30 s\n";
    }
);

check(
    'cancel',
    sub {
        my ( $db, $other ) = ( connect_as(), connect_as() );
        my $pid = $db->selectrow_array('SELECT pg_backend_pid()');
        my $query = $db->prepare( 'SELECT pg_sleep(30)', { pg_async => PG_ASYNC } );
        $query->execute;
        my $asleep = $other->prepare("SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = ?");
        my $began  = time;
        sleep 0.01 until $other->selectrow_array( $asleep, undef, $pid ) || time > $began + 30;
        $db->pg_cancel or die "the query was not cancelled\n";    # true: the server confirmed it
        time < $began + 20 or die "the query was not cancelled in time\n";
        return;
    }
);

check(
    'large',
    sub {
        my $back = connect_as()->selectrow_array( 'SELECT ?::text', undef, $large );
        $back eq $large or die "the value changed\n";
        return;
    }
);

check(
    'unicode',
    sub {
        my @row = connect_as('OTHER_')->selectrow_array( 'SELECT current_user, current_database(), ?::text', undef, $text );
        equal( $row[0], env('OTHER_USER') );
        equal( $row[1], env('OTHER_DATABASE') );
        equal( $row[2], $text );
        return;
    }
);

check(
    'restart',
    sub {
        my $db = connect_as();
        report( waiting => 'restart' );
        my $go = <STDIN>;
        eval { $db->do('SELECT 1'); 1 } and die "the connection outlived its server\n";
        return login();
    }
);
