# Logs in by each DSN with DBD::Pg, and uses the session. Prints a line for each: "works", or what failed.
# Without any, libpq's variables say where and as whom to log in.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:async);
use Time::HiRes qw(sleep time);

$| = 1;

sub login { return DBI->connect( $_[0], undef, undef, { RaiseError => 1, PrintError => 0, AutoCommit => 1 } ) }

sub works {
    my ($dsn) = @_;
    my ( $db, $other ) = ( login($dsn), login($dsn) );
    $db->do('CREATE TEMP TABLE kept (n int)');
    $db->begin_work;
    $db->do('INSERT INTO kept VALUES (1)');
    $db->commit;
    $db->begin_work;
    $db->do('INSERT INTO kept VALUES (2)');
    $db->rollback;
    my ( $count, $pid ) = $db->selectrow_array('SELECT count(*), pg_backend_pid() FROM kept');
    $count == 1 or die "transaction: $count rows\n";
    my $asleep = $other->prepare("SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = ?");
    my $query = $db->prepare( 'SELECT pg_sleep(30)', { pg_async => PG_ASYNC } );
    my $began = time;
    $query->execute;
    sleep 0.01 until $other->selectrow_array( $asleep, undef, $pid ) || time > $began + 20;
    $db->pg_cancel or die "cancel: the query went on\n";    # true: the server confirmed it
    $_->disconnect for $db, $other;
    return 'works';
}

for my $dsn ( @ARGV ? @ARGV : 'dbi:Pg:' ) {
    my $said = eval { works($dsn) } || $@;
    print join( ' ', split ' ', $said ), "\n";
}
