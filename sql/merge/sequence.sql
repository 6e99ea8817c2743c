-- question: in which order a patient's images were made, and how that is known
-- one row: one kept image of a patient with several, numbered from 1 (the earliest)
-- example: run by `xray-mining merge`
-- note: by the day of the study (or its offset, of a patient without days), else the
-- follow-up number, else the age, each if it is known for
-- all of the patient's images; then by those known for some (unknown before known); then in the
-- order of the files, which says nothing about time
create temp table sequenced as
with
follow_ups as (
    select
        image_key,
        max(value) as follow_up
    from raw_findings
    where name = 'follow_up_number' and image_key is not null and value is not null
    group by image_key
),

described as (
    select
        raw_images.rowid as raw_row,
        raw_images.patient_key,
        raw_images.study_key,
        -- offsets of one patient count from one day; they cannot be compared with calendar days
        if(
            count(raw_images.study_day) over (partition by raw_images.patient_key) = 0,
            raw_images.day_offset,
            raw_images.study_day
        ) as study_day,
        follow_ups.follow_up,
        raw_images.age_years,
        settled.place
    from raw_images
    inner join settled on raw_images.rowid = settled.raw_row
    left join follow_ups on raw_images.image_key = follow_ups.image_key
    where settled.outcome = 'kept'
),

several as (
    select
        patient_key,
        count(study_day) = count(*) as has_days,
        count(follow_up) = count(*) as has_follow_ups,
        count(age_years) = count(*) as has_ages
    from described
    group by patient_key
    having count(*) > 1
),

compared as (
    select
        described.raw_row,
        described.study_key,
        described.study_day,
        described.follow_up,
        described.age_years,
        several.has_days,
        several.has_follow_ups,
        several.has_ages,
        row_number() over in_patient as patient_sequence,
        lag(described.study_key) over in_patient as earlier_study,
        lag(described.study_day) over in_patient as earlier_day,
        lag(described.follow_up) over in_patient as earlier_follow_up,
        lag(described.age_years) over in_patient as earlier_age
    from described
    inner join several on described.patient_key = several.patient_key
    window in_patient as (
        partition by described.patient_key
        order by
            if(several.has_days, described.study_day, null),
            if(several.has_follow_ups, described.follow_up, null),
            if(several.has_ages, described.age_years, null),
            described.study_day nulls first,
            described.follow_up nulls first,
            described.age_years nulls first,
            described.place
    )
)

select
    raw_row,
    patient_sequence,
    case
        when patient_sequence = 1 then null
        when has_days and study_day != earlier_day then 'day'
        when has_follow_ups and follow_up != earlier_follow_up then 'follow_up'
        when has_ages and age_years != earlier_age then 'age'
        when (study_day is null) != (earlier_day is null) then 'unknown'
        when study_day != earlier_day then 'day'
        when (follow_up is null) != (earlier_follow_up is null) then 'unknown'
        when follow_up != earlier_follow_up then 'follow_up'
        when (age_years is null) != (earlier_age is null) then 'unknown'
        when age_years != earlier_age then 'age'
        when study_key = earlier_study then 'same_study'
        else 'nothing'
    end as sequence_by
from compared
