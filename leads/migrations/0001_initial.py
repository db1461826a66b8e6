import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.operations
import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        django.contrib.postgres.operations.TrigramExtension(),
        migrations.CreateModel(
            name='Activity',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('occurred_at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('properties', models.JSONField(null=True)),
            ],
            options={
                'verbose_name_plural': 'activities',
                'db_table': 'leads_activity',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='ActivityKind',
            fields=[
                ('id', models.SmallAutoField(primary_key=True, serialize=False)),
                ('slug', models.SlugField(max_length=63, unique=True)),
                ('label', models.CharField(max_length=100)),
                ('is_custom', models.BooleanField(db_default=True, default=True)),
            ],
        ),
        migrations.CreateModel(
            name='Asset',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('url', models.TextField(blank=True, default='')),
                ('subject', models.TextField(blank=True, default='')),
                ('source', models.CharField(blank=True, default='', max_length=200)),
                ('digest', models.UUIDField(editable=False, help_text='md5 of url, subject and source joined by U+001F, made by queries.py.', unique=True)),
            ],
        ),
        migrations.CreateModel(
            name='Mark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contact_id', models.BigIntegerField()),
                ('facet', models.PositiveSmallIntegerField(choices=[(1, 'contact fields, tags, stage, owner'), (2, 'company fields'), (3, 'activities'), (4, 'deals'), (5, 'consent'), (6, 'a segment, persona or score, changed in a full run')])),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='Stage',
            fields=[
                ('slug', models.SlugField(primary_key=True, serialize=False)),
                ('label', models.CharField(max_length=100, verbose_name='label')),
                ('position', models.PositiveSmallIntegerField(verbose_name='position')),
                ('is_detour', models.BooleanField(default=False, verbose_name='detour')),
            ],
            options={
                'ordering': ['position'],
            },
        ),
        migrations.CreateModel(
            name='Suppression',
            fields=[
                ('address_hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('reason', models.CharField(choices=[('unsubscribed', 'unsubscribed'), ('bounced', 'hard bounce'), ('complained', 'complaint'), ('by_hand', 'by hand')], max_length=12)),
                ('source', models.CharField(max_length=200)),
                ('since', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Workspace',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(default='Ripen', max_length=200, verbose_name='company name')),
                ('postal_address', models.TextField(blank=True, help_text='Stands at the foot of every marketing mail.', verbose_name='postal address')),
                ('timezone', models.CharField(default='UTC', max_length=64, verbose_name='time zone')),
                ('week_start', models.PositiveSmallIntegerField(choices=[(1, 'Monday'), (6, 'Saturday'), (7, 'Sunday')], default=1, verbose_name='week starts on')),
                ('currency', models.CharField(default='EUR', max_length=3, verbose_name='currency')),
                ('business_days', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveSmallIntegerField(), default=list, help_text='1 = Monday … 7 = Sunday.', size=None, verbose_name='business days')),
                ('business_start', models.TimeField(default='09:00', verbose_name='business hours from')),
                ('business_end', models.TimeField(default='17:00', verbose_name='business hours until')),
                ('sender_name', models.CharField(blank=True, max_length=200, verbose_name='sender name')),
                ('sender_email', models.EmailField(blank=True, max_length=254, verbose_name='sender e-mail')),
                ('reply_to', models.EmailField(blank=True, max_length=254, verbose_name='reply to')),
            ],
            options={
                'verbose_name': 'workspace',
            },
        ),
        migrations.CreateModel(
            name='Company',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('external_id', models.CharField(blank=True, max_length=200, null=True, unique=True, verbose_name='external id')),
                ('name', models.CharField(max_length=500, verbose_name='name')),
                ('domain', models.CharField(blank=True, default='', max_length=253, verbose_name='domain')),
                ('industry', models.CharField(blank=True, default='', max_length=200, verbose_name='industry')),
                ('employees', models.BigIntegerField(blank=True, null=True, verbose_name='employees')),
                ('revenue', models.DecimalField(blank=True, decimal_places=6, max_digits=24, null=True, verbose_name='revenue')),
                ('founded', models.IntegerField(blank=True, null=True, verbose_name='founded')),
                ('country', models.CharField(blank=True, default='', max_length=100, verbose_name='country')),
                ('region', models.CharField(blank=True, default='', max_length=200, verbose_name='region')),
                ('city', models.CharField(blank=True, default='', max_length=200, verbose_name='city')),
                ('tags', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), blank=True, db_default=[], default=list, size=None, verbose_name='tags')),
                ('custom', models.JSONField(blank=True, db_default={}, default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
            options={
                'verbose_name_plural': 'companies',
                'indexes': [models.Index(django.db.models.functions.text.Lower('name'), models.F('id'), name='leads_company_name'), django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Lower('name'), name='gin_trgm_ops'), name='leads_company_search')],
            },
        ),
        migrations.CreateModel(
            name='Contact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('external_id', models.CharField(blank=True, max_length=200, null=True, unique=True, verbose_name='external id')),
                ('email', models.CharField(blank=True, max_length=320, null=True, verbose_name='e-mail')),
                ('first_name', models.CharField(blank=True, default='', max_length=200, verbose_name='first name')),
                ('last_name', models.CharField(blank=True, default='', max_length=200, verbose_name='last name')),
                ('title', models.CharField(blank=True, default='', max_length=300, verbose_name='job title')),
                ('department', models.CharField(blank=True, default='', max_length=200, verbose_name='department')),
                ('seniority', models.CharField(blank=True, default='', max_length=100, verbose_name='seniority')),
                ('phone', models.CharField(blank=True, default='', max_length=60, verbose_name='phone')),
                ('country', models.CharField(blank=True, default='', help_text='ISO 3166 code where it is one, else as written.', max_length=100, verbose_name='country')),
                ('region', models.CharField(blank=True, default='', max_length=200, verbose_name='region')),
                ('city', models.CharField(blank=True, default='', max_length=200, verbose_name='city')),
                ('postal_code', models.CharField(blank=True, default='', max_length=30, verbose_name='postal code')),
                ('timezone', models.CharField(blank=True, default='', max_length=64, verbose_name='time zone')),
                ('language', models.CharField(blank=True, default='', max_length=35, verbose_name='language')),
                ('source', models.CharField(blank=True, default='', max_length=200, verbose_name='source')),
                ('stage', models.SlugField(db_default='inquiry', db_index=False, default='inquiry', verbose_name='stage')),
                ('stage_since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('tags', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), blank=True, db_default=[], default=list, size=None, verbose_name='tags')),
                ('custom', models.JSONField(blank=True, db_default={}, default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('company', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='contacts', to='leads.company', verbose_name='company')),
            ],
        ),
        migrations.CreateModel(
            name='ActivityKey',
            fields=[
                ('external_id', models.CharField(max_length=200, primary_key=True, serialize=False)),
                ('activity_id', models.BigIntegerField()),
                ('occurred_at', models.DateTimeField()),
                ('contact', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='leads.contact')),
            ],
        ),
        migrations.CreateModel(
            name='CustomField',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('of', models.CharField(choices=[('contact', 'contact'), ('company', 'company'), ('deal', 'deal')], max_length=10, verbose_name='belongs to')),
                ('key', models.CharField(help_text='Lower-case letters, digits and underscores; never changes.', max_length=63, verbose_name='key')),
                ('label', models.CharField(max_length=200, verbose_name='label')),
                ('type', models.CharField(choices=[('text', 'text'), ('long_text', 'long text'), ('number', 'number'), ('yes_no', 'yes/no'), ('choice', 'choice'), ('choices', 'several choices'), ('date', 'date'), ('moment', 'moment'), ('email', 'e-mail'), ('url', 'URL'), ('phone', 'phone'), ('country', 'country'), ('money', 'money')], max_length=10, verbose_name='type')),
                ('choices', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), blank=True, default=list, size=None, verbose_name='choices')),
                ('help', models.CharField(blank=True, max_length=500, verbose_name='help')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
            options={
                'ordering': ['of', 'label'],
                'constraints': [models.UniqueConstraint(fields=('of', 'key'), name='leads_customfield_key')],
            },
        ),
        migrations.CreateModel(
            name='Deal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('external_id', models.CharField(max_length=200, unique=True, verbose_name='external id')),
                ('status', models.CharField(choices=[('open', 'open'), ('won', 'won'), ('lost', 'lost')], max_length=4, verbose_name='status')),
                ('amount', models.DecimalField(blank=True, decimal_places=6, max_digits=24, null=True, verbose_name='amount')),
                ('margin', models.DecimalField(blank=True, decimal_places=6, max_digits=24, null=True, verbose_name='margin')),
                ('product', models.CharField(blank=True, default='', max_length=300, verbose_name='product')),
                ('opened_on', models.DateField(blank=True, null=True, verbose_name='opened on')),
                ('closed_on', models.DateField(blank=True, null=True, verbose_name='closed on')),
                ('loss_reason', models.CharField(blank=True, default='', max_length=500, verbose_name='loss reason')),
                ('custom', models.JSONField(blank=True, db_default={}, default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('company', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='deals', to='leads.company', verbose_name='company')),
            ],
        ),
        migrations.CreateModel(
            name='DealContact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contact', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='leads.contact')),
                ('deal', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='leads.deal')),
            ],
        ),
        migrations.AddField(
            model_name='deal',
            name='contacts',
            field=models.ManyToManyField(related_name='deals', through='leads.DealContact', to='leads.contact', verbose_name='contacts'),
        ),
        migrations.CreateModel(
            name='ImportJob',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('contacts', 'contacts'), ('companies', 'companies'), ('activities', 'activities'), ('deals', 'deals')], max_length=10, verbose_name='kind')),
                ('state', models.CharField(choices=[('mapping', 'waiting for the columns'), ('checking', 'being checked'), ('checked', 'checked, waiting for the start'), ('queued', 'queued'), ('running', 'running'), ('done', 'done'), ('refused', 'refused'), ('cancelled', 'cancelled')], default='mapping', max_length=9, verbose_name='state')),
                ('file_name', models.CharField(max_length=300, verbose_name='file')),
                ('stored_as', models.CharField(help_text='Path below MEDIA_ROOT.', max_length=300)),
                ('format', models.CharField(help_text='csv or jsonl.', max_length=5)),
                ('encoding', models.CharField(default='utf-8', max_length=40)),
                ('delimiter', models.CharField(default=',', max_length=1)),
                ('columns', models.JSONField(default=list, help_text='What the file holds, by column: name, examples, spelling.')),
                ('mapping', models.JSONField(default=dict, help_text='The mapping document of docs/imports.md.')),
                ('new_fields', models.JSONField(default=dict, help_text='Custom fields to make: key -> type.')),
                ('preview', models.JSONField(help_text='What the dry run found: counts and the first rejected rows.', null=True)),
                ('rows_total', models.BigIntegerField(null=True)),
                ('rows_done', models.BigIntegerField(default=0)),
                ('created', models.BigIntegerField(default=0)),
                ('updated', models.BigIntegerField(default=0)),
                ('unchanged', models.BigIntegerField(default=0)),
                ('rejected', models.BigIntegerField(default=0)),
                ('message', models.TextField(blank=True, default='', help_text='Why the file was refused, or what went wrong last.')),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('lease_until', models.DateTimeField(help_text='A worker owns the job until then and renews it; past that the next worker goes on.', null=True)),
                ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='ImportReject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField()),
                ('reason', models.CharField(max_length=1000)),
                ('raw', models.JSONField()),
                ('job', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rejects', to='leads.importjob')),
            ],
        ),
        migrations.CreateModel(
            name='Owner',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='e-mail')),
                ('team', models.CharField(blank=True, max_length=200, verbose_name='team')),
                ('user', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='owner', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddField(
            model_name='deal',
            name='owner',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='deals', to='leads.owner', verbose_name='owner'),
        ),
        migrations.AddField(
            model_name='contact',
            name='owner',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='contacts', to='leads.owner', verbose_name='owner'),
        ),
        migrations.CreateModel(
            name='Signal',
            fields=[
                ('pk', models.CompositePrimaryKey('contact_id', 'kind_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('n', models.IntegerField()),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('contact', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='signals', to='leads.contact')),
                ('kind', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='leads.activitykind')),
            ],
        ),
        migrations.CreateModel(
            name='StageMove',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('moved_at', models.DateTimeField()),
                ('from_stage', models.SlugField(db_index=False)),
                ('to_stage', models.SlugField(db_index=False)),
                ('cause', models.CharField(help_text='What moved it: by_hand, import, hand_off, answer, program:<slug>, rule:<slug>.', max_length=100)),
                ('reason', models.CharField(blank=True, default='', max_length=500)),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('contact', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='stage_moves', to='leads.contact')),
            ],
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('verb', models.CharField(max_length=60)),
                ('object_kind', models.CharField(max_length=60)),
                ('object_id', models.CharField(max_length=100)),
                ('object_label', models.CharField(blank=True, default='', max_length=300)),
                ('detail', models.JSONField(default=dict)),
                ('actor', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'indexes': [models.Index(fields=['object_kind', 'object_id', '-at'], name='leads_audit_of_object')],
            },
        ),
        migrations.CreateModel(
            name='ConsentEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address_hash', models.CharField(help_text='SHA-256 of the normalised address.', max_length=64)),
                ('purpose', models.SlugField(db_index=False, default='marketing', help_text='marketing = every purpose together.')),
                ('state', models.CharField(choices=[('given', 'given'), ('withdrawn', 'withdrawn'), ('asked', 'asked')], max_length=9)),
                ('occurred_at', models.DateTimeField()),
                ('source', models.CharField(help_text='Where it came from: unsubscribe_link, one_click, import, by_hand, form:<slug>.', max_length=100)),
                ('wording', models.CharField(blank=True, default='', help_text='Version of the wording that was shown.', max_length=100)),
                ('proof', models.JSONField(blank=True, default=dict)),
                ('contact', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='consent_events', to='leads.contact')),
            ],
            options={
                'indexes': [models.Index(fields=['address_hash', 'purpose', '-occurred_at', '-id'], name='leads_consent_state')],
            },
        ),
        migrations.AddConstraint(
            model_name='dealcontact',
            constraint=models.UniqueConstraint(fields=('deal', 'contact'), name='leads_dealcontact_once'),
        ),
        migrations.AddIndex(
            model_name='importjob',
            index=models.Index(condition=models.Q(('state__in', ['checking', 'queued', 'running'])), fields=['requested_at'], name='leads_importjob_due'),
        ),
        migrations.AddConstraint(
            model_name='importreject',
            constraint=models.UniqueConstraint(fields=('job', 'line'), name='leads_importreject_line'),
        ),
        migrations.AddConstraint(
            model_name='owner',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('name'), name='leads_owner_name'),
        ),
        migrations.AddIndex(
            model_name='deal',
            index=models.Index(fields=['status', '-closed_on'], name='leads_deal_by_status'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(fields=['-created_at', '-id'], name='leads_contact_newest'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(django.db.models.functions.text.Lower('last_name'), django.db.models.functions.text.Lower('first_name'), models.F('id'), name='leads_contact_by_name'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(fields=['stage', '-created_at', '-id'], name='leads_contact_by_stage'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Lower(django.db.models.functions.text.Concat('first_name', models.Value(' '), 'last_name', models.Value(' '), django.db.models.functions.comparison.Coalesce('email', models.Value('')), models.Value(' '), django.db.models.functions.comparison.Coalesce('external_id', models.Value('')))), name='gin_trgm_ops'), name='leads_contact_search'),
        ),
        migrations.AddConstraint(
            model_name='contact',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('email'), name='leads_contact_email'),
        ),
        migrations.AddConstraint(
            model_name='contact',
            constraint=models.CheckConstraint(condition=models.Q(('external_id__isnull', False), ('email__isnull', False), _connector='OR'), name='leads_contact_has_key'),
        ),
        migrations.AddIndex(
            model_name='stagemove',
            index=models.Index(fields=['contact', 'moved_at'], name='leads_stagemove_history'),
        ),
        migrations.AddIndex(
            model_name='stagemove',
            index=models.Index(fields=['to_stage', 'moved_at'], name='leads_stagemove_arrivals'),
        ),
    ]
