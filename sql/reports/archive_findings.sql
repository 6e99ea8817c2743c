-- question: which labels, groups and numbers are known for how many patients, and from which source
-- one row: one answer of one finding of one source ('unknown': patients without an answer)
-- example: xray-mining sql sql/reports/archive_findings.sql
with
people as (
    select distinct
        patient_key,
        archive
    from images
    where patient_source != 'none'
),

kinds_known as (
    select
        source,
        name,
        patient_key,
        image_key,
        unit,
        value,
        label,
        bool_or(label is not null) over (partition by source, name) as is_group,
        coalesce(
            bool_and(value in (-1, 0, 1)) over (partition by source, name), true
        ) as is_label
    from findings
),

answers as (
    select
        source,
        name,
        patient_key,
        image_key,
        unit,
        case when is_group then 'group' when is_label then 'label' else 'number' end as kind,
        case
            when is_group then label
            when not is_label then if(value is null, null, 'known')
            when value = 1 then 'present'
            when value = 0 then 'absent'
            when value = -1 then 'uncertain'
        end as answer
    from kinds_known
),

spoken_of as (
    select distinct
        answers.source,
        people.archive
    from answers
    inner join people on answers.patient_key = people.patient_key
),

asked as (
    select
        spoken_of.source,
        count(distinct people.patient_key) as patients
    from spoken_of
    inner join people on spoken_of.archive = people.archive
    group by spoken_of.source
),

findings_of as (
    select
        answers.source,
        answers.name,
        answers.kind,
        any_value(answers.unit) as unit,
        count(distinct answers.patient_key) filter (
            where answers.answer is not null and people.patient_key is not null
        ) as known
    from answers
    left join people on answers.patient_key = people.patient_key
    group by answers.source, answers.name, answers.kind
),

listed as (
    select
        *,
        count(*) over () as findings
    from findings_of
    qualify row_number() over (order by known desc, source, name) <= 60
),

ranked as (
    select
        source,
        name,
        answer,
        row_number() over (
            partition by source, name order by count(distinct patient_key) desc, answer
        ) as place
    from answers
    where answer is not null
    group by source, name, answer
),

kept as (
    select
        answers.* exclude (answer),
        if(ranked.place <= 20, answers.answer, 'all others') as answer
    from answers
    inner join ranked
        on
            answers.source = ranked.source
            and answers.name = ranked.name
            and answers.answer = ranked.answer
)

select
    listed.source,
    listed.name,
    listed.kind,
    listed.unit,
    kept.answer,
    count(distinct kept.image_key) as images,
    count(distinct people.patient_key) as patients,
    any_value(listed.findings) as findings
from listed
inner join kept on listed.source = kept.source and listed.name = kept.name
left join people on kept.patient_key = people.patient_key
group by listed.source, listed.name, listed.kind, listed.unit, kept.answer
union all
select
    listed.source,
    listed.name,
    listed.kind,
    listed.unit,
    'unknown' as answer,
    null as images,
    asked.patients - listed.known as patients,
    listed.findings
from listed
inner join asked on listed.source = asked.source
where asked.patients > listed.known
order by source, name, answer
